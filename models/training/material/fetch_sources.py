"""python -m models.training.material.fetch_sources: rebuilds the material's folder.

Alone knows the public sources, their licences, and the sums of the files the
published weights were trained on (material.sha256, as sha256sum writes it).
"""

from __future__ import annotations

import argparse
import hashlib
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np

from models.training.material.folder import DEFAULT_FOLDER
from models.training.material.photographs import GATHERED, UNPROVEN, gathered_rows

LONGEST = 512  # pixels: portraits are kept no larger
GATHERED_LONGEST = 1280  # nor what was gathered: its boxes are in pixels of that
SUMS = Path(__file__).parent / "material.sha256"
PHOTOGRAPHS = Path(__file__).parent / "photographs.tsv"  # file, licence, source, credit of every real photograph
RAW = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Source:
    """Where pictures come from and what may be done with them."""

    name: str
    licence: str
    address: str
    files: str


SOURCES = (
    Source(
        "faker-js/assets-person-portrait",
        "CC0 1.0",
        "https://github.com/faker-js/assets-person-portrait",
        "female/512/N.jpg and male/512/N.jpg, N 0..99 -> portraits/ai_{female,male}_NNN.jpg",
    ),
    Source(
        "cjdowner/interfaces",
        "CC0 1.0",
        "https://github.com/cjdowner/interfaces",
        "'500 x 500'/N.jpg, N 25..100, where one face is found -> portraits/cc0_NNN.jpg",
    ),
    Source(
        "CLIC 2025, test and validation photographs",
        "Unsplash licence",
        "https://clic2025.compression.cc",
        "face-free crops of 512 x 512, by eye -> backgrounds/bg_NNN.jpg",
    ),
    Source(
        "Kodak lossless true color image suite",
        "unrestricted use",
        "https://r0k.us/graphics/kodak/",
        "face-free crops of 512 x 512, by eye -> backgrounds/bg_NNN.jpg",
    ),
    Source(
        "scikit-image, skimage/data",
        "CC0, public domain or BSD by file (skimage/data/README.txt)",
        "https://github.com/scikit-image/scikit-image",
        "brick cell chelsea clock_motion coffee coins color grass gravel horse hubble ihc "
        "microaneurysms moon motorcycle_left page retina rocket text -> --more-backgrounds",
    ),
    Source(
        "MakeHuman, base mesh and targets",
        "CC0 1.0 (LICENSE.md, section C, and the head of each file)",
        "https://github.com/makehumancommunity/makehuman",
        "makehuman/data/3dobjs/base.obj and targets of head, face and people -> head/, for --head",
    ),
    Source(
        "WebXR input profiles, generic hand",
        "MIT",
        "https://github.com/immersive-web/webxr-input-profiles",
        "packages/assets/profiles/generic-hand/left.glb -> hand.glb, for --hand",
    ),
    Source(
        "COCO 2017, photographs whose own licence is CC BY 2.0 or without known restrictions",
        "by photograph (photographs.tsv); keypoints CC BY 4.0",
        "https://cocodataset.org",
        "434 photographs -> real/coco/photos/, their people's keypoints and crowds -> real/coco/labels.json",
    ),
    Source(
        "Works of the US government and R-Ladies' pages",
        "public domain, CC0 1.0 or CC BY 4.0 by photograph (photographs.tsv)",
        "https://github.com",
        "163 photographs -> real/scenes/, named in real/scenes.json",
    ),
    Source(
        "Everyday photographs: Open Images, websites of governments and associations, stock photographs, COCO 2017",
        "CC BY, CC0 1.0, OGL 3.0, Unsplash licence, public domain by photograph (gathered.tsv)",
        "https://github.com",
        "1,744 photographs -> real/gathered/, no larger than 1280 pixels, boxed by eye (labelling/gathered.json)",
    ),
    Source(
        "Photographs without people: COCO 2017, maxogden/cats, GroceryStoreDataset, clothing-dataset-small",
        "CC BY 2.0 or no known restrictions by photograph; BSD; MIT; CC0 1.0 (photographs.tsv)",
        "https://github.com",
        "36 of COCO without a labelled person, 175 of cats, 300 of groceries and 87 of clothes in which weights saw "
        "faces, looked through by eye, none of those that judge -> more/, for --more-backgrounds",
    ),
)


HAND = f"{RAW}/immersive-web/webxr-input-profiles/main/packages/assets/profiles/generic-hand/left.glb"


SHAPES = f"{RAW}/makehumancommunity/makehuman/a8bc2d54ff0ac92e78ff71431b1023eda42bf482/makehuman/data"
PEOPLE = ("african", "asian", "caucasian")


def head_addresses() -> dict[str, str]:
    """File of the head's mesh in the material's folder -> address."""
    addresses = {}
    for line in SUMS.read_text().splitlines():
        name = Path(line.split(maxsplit=1)[1])
        if name.parent.name != "head":
            continue
        part = name.stem.removeprefix("l-").split("-")[0]
        shelf = "3dobjs" if name.suffix == ".obj" else f"targets/{'macrodetails' if part in PEOPLE else part}"
        addresses[str(name)] = f"{SHAPES}/{shelf}/{name.name}"
    return addresses


def portrait_addresses() -> dict[str, list[str]]:
    """File name in portraits/ -> addresses to try in turn."""
    wanted = {}
    for kind in ("female", "male"):
        for number in range(100):
            path = f"faker-js/assets-person-portrait/main/{kind}/512/{number}.jpg"
            wanted[f"ai_{kind}_{number:03}.jpg"] = [f"{RAW}/{path}"]
    for number in range(25, 101):
        # The repository names some files with two digits and some with three.
        folders = [quote(f"{side} x {side}") for side in (1000, 500)]
        wanted[f"cc0_{number:03}.jpg"] = [
            f"{RAW}/cjdowner/interfaces/master/{folder}/{name}.jpg"
            for folder in folders
            for name in (f"{number:03}", f"{number}")
        ]
    return wanted


def photograph_addresses() -> dict[str, str]:
    """File below the material's folder -> address, of every real photograph."""
    rows = [line.split("\t") for line in PHOTOGRAPHS.read_text(encoding="utf-8").splitlines()[1:]]
    return {file: address_of(source) for file, _, source, _ in rows}


def address_of(source: str) -> str:
    """Of OWNER/NAME:PATH or OWNER/NAME@COMMIT:PATH."""
    place, path = source.split(":", 1)
    repository, _, commit = place.partition("@")
    return f"{RAW}/{repository}/{commit or 'HEAD'}/{quote(path)}"


def gather(folder: Path) -> list[str]:
    """Fetches gathered photographs that are missing; the names of those that could not be had as they were."""
    lost = []
    folder.mkdir(parents=True, exist_ok=True)
    for row in gathered_rows():
        path = folder / row["file"]
        if path.exists() or row["licence"] == UNPROVEN:
            continue
        data = fetch([address_of(row["source"])])
        if data is None or hashlib.sha256(data).hexdigest() != row["sha256"]:
            lost.append(row["file"])
        else:
            path.write_bytes(shrink(data, GATHERED_LONGEST))
    return lost


def shrink(data: bytes, most: int = LONGEST) -> bytes:
    """A JPEG no longer than `most` pixels on its longer side; the same bytes if it is not."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("not a picture")
    longest = max(picture.shape[:2])
    if longest <= most:
        return data
    factor = most / longest
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def fetch(addresses: list[str]) -> bytes | None:
    """The first address that answers."""
    for address in addresses:
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310  # addresses of the list above
                return bytes(answer.read())
        except OSError:
            continue
    return None


def check(folder: Path) -> tuple[int, list[str]]:
    """How many files are byte for byte those trained on, and the names of those that differ."""
    same, other = 0, []
    for line in SUMS.read_text().splitlines():
        wanted, name = line.split(maxsplit=1)
        path = folder / name
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == wanted:
            same += 1
        else:
            other.append(name)
    return same, other


def main() -> None:
    """Prints the sources, fetches missing portraits, photographs and the hand if asked to, checks the sums."""
    parser = argparse.ArgumentParser(prog="python -m models.training.material.fetch_sources", description=__doc__)
    parser.add_argument("--material", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--fetch", action="store_true", help="download what is missing")
    options = parser.parse_args()
    for source in SOURCES:
        print(f"{source.name}: {source.licence}\n  {source.address}\n  {source.files}")
    portraits = options.material / "portraits"
    if options.fetch:
        portraits.mkdir(parents=True, exist_ok=True)
        for name, addresses in portrait_addresses().items():
            if not (portraits / name).exists() and (data := fetch(addresses)) is not None:
                (portraits / name).write_bytes(shrink(data))
        for file, address in (photograph_addresses() | head_addresses()).items():
            path = options.material / file
            if not path.exists() and (data := fetch([address])) is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        for name in gather(options.material / "real" / GATHERED):
            print(f"not as it was gathered, or gone: {name}")
        hand = options.material / "hand.glb"
        if not hand.exists() and (data := fetch([HAND])) is not None:
            hand.write_bytes(data)
    same, other = check(options.material)
    print(f"{same} files are those trained on, {len(other)} are missing or differ")
    for name in other[:20]:
        print(f"  {name}")


if __name__ == "__main__":
    main()
