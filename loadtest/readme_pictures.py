"""`python -m loadtest.readme_pictures`: the sample, and the README's picture of all that mask makes of it.

The service itself makes it. The scene is drawn (`loadtest/scene.py`), so it belongs to nobody but this project.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from loadtest.scene import PEOPLE, Pixels, scene
from loadtest.servers import ROOT, Server, ours
from shared.settings import Settings

TARGET = ROOT / "deploy" / "readme" / "methods.jpg"
#: What `/try` offers and the first curl line sends.
SAMPLE = ROOT / "gateway" / "docs" / "assets" / "pages" / "sample.jpg"
WAYS: tuple[dict[str, str], ...] = (
    {"method": "gaussian"},
    {"method": "pixelate", "strength": "32"},
    {"method": "solid"},
    {"method": "elliptical"},
    {"method": "erase"},
    {"method": "overlay"},
    {"method": "solid", "keep": "[1]", "second_side": "0", "turns": "never"},
    {"annotate": "true"},
)
#: Of the parameters above: what an index needs beside it, and the reader does not.
UNTOLD = ("second_side", "turns")
TILE_WIDTH, TILE_HEIGHT, LABEL, GAP, ACROSS = 320, 213, 26, 8, 3
JPEG_QUALITY = 84


def masked(server: Server, data: bytes, parameters: dict[str, str]) -> Pixels:
    """The service's answer to a PNG, decoded, BGR. Raises RuntimeError when it did not hide whom it should."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    target = f"/api/v1/mask?{urlencode(parameters | {'format': 'png'})}"
    connection.request("POST", target, data, {"Content-Type": "image/png"})
    answer = connection.getresponse()
    body, count = answer.read(), answer.headers["X-Face-Count"]
    connection.close()
    wanted = 0 if "annotate" in parameters else len(PEOPLE) - ("keep" in parameters)
    if answer.status != 200 or count != str(wanted):
        raise RuntimeError(f"{parameters}: {answer.status}, {count} faces of {wanted} hidden: {body[:200]!r}")
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


def sheet(tiles: list[tuple[str, Pixels]]) -> Image.Image:
    """Tiles in rows, each with its words below."""
    rows = -(-len(tiles) // ACROSS)
    size = (ACROSS * (TILE_WIDTH + GAP) - GAP, rows * (TILE_HEIGHT + LABEL + GAP) - GAP)
    whole = Image.new("RGB", size, "white")
    words, font = ImageDraw.Draw(whole), ImageFont.load_default(15)
    for place, (label, pixels) in enumerate(tiles):
        left, top = place % ACROSS * (TILE_WIDTH + GAP), place // ACROSS * (TILE_HEIGHT + LABEL + GAP)
        small = cv2.resize(pixels, (TILE_WIDTH, TILE_HEIGHT), interpolation=cv2.INTER_AREA)
        whole.paste(Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)), (left, top))
        words.text((left + TILE_WIDTH / 2, top + TILE_HEIGHT + LABEL / 2), label, "black", font, anchor="mm")
    return whole


def told(way: dict[str, str]) -> str:
    """As it stands in a URL."""
    return urlencode({name: value for name, value in way.items() if name not in UNTOLD}, safe="[]")


def main() -> int:
    """Starts a service with the model that ships, asks it, and writes the picture."""
    original = scene()
    data = cv2.imencode(".png", original)[1].tobytes()
    tiles = [("original", original)]
    with tempfile.TemporaryDirectory(prefix="face-api-readme-") as folder:
        settings = Settings(
            api_key_enabled=False, rate_limit_enabled=False, model="scrfd_500m_open", data_dir=folder, metrics_port=-1
        )
        with ours(settings, Path(folder) / "service.log") as server:
            tiles += [(told(way), masked(server, data, way)) for way in WAYS]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    sheet(tiles).save(TARGET, quality=JPEG_QUALITY, optimize=True)
    Image.fromarray(cv2.cvtColor(original, cv2.COLOR_BGR2RGB)).save(SAMPLE, quality=JPEG_QUALITY, optimize=True)
    for written in (TARGET, SAMPLE):
        print(f"{written}: {written.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
