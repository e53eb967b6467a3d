"""Files that are of no accepted format, however they begin or are named."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image

from tests.hostile import rasters
from tests.hostile.files import Hostile

MAGIC = {
    "jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "webp": b"RIFF\0\0\0\0WEBP", "bmp": b"BM", "tiff": b"II*\0",
    "tiff-big-endian": b"MM\0*", "bigtiff": b"II+\0",
}  # fmt: skip
STRANGERS = {
    "empty": b"", "one-byte": b"\0", "zeros": bytes(10_000), "text": b"not a picture" * 100, "html": b"<html><script>alert(1)</script>",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "zip": b"PK\x03\x04" + bytes(500),
    "pdf": b"%PDF-1.7\n" + bytes(500), "elf": b"\x7fELF" + bytes(500), "exr": b"v/1\x01" + bytes(500),
    "hdr": b"#?RADIANCE\n\n-Y 64 +X 64\n" + bytes(500), "ppm": b"P6 64 48 255\n" + bytes(64 * 48 * 3), "pam": b"P7\nWIDTH 64\n",
    "pfm": b"PF\n64 48\n-1\n" + bytes(64 * 48 * 12), "sun": b"\x59\xa6\x6a\x95" + bytes(500), "psd": b"8BPS\0\x01" + bytes(500),
    "ico": b"\0\0\x01\0\x01\0" + bytes(500), "riff-wave": b"RIFF\x24\0\0\0WAVEfmt " + bytes(100), "mp4": b"\0\0\0\x18ftypmp42" + bytes(500),
    "pickle": b"\x80\x04\x95" + bytes(100), "gzip": b"\x1f\x8b\x08" + bytes(100), "jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(500),
    "mng": b"\x8aMNG\r\n\x1a\n" + bytes(500), "cr-magic": b"\x89PNG\n\x1a\n" + bytes(500), "spaces-first": b"  \xff\xd8\xff" + bytes(100),
}  # fmt: skip


def files() -> Iterator[Hostile]:
    """All of them."""
    for name, body in STRANGERS.items():
        yield Hostile(f"other-{name}", body, "refused")
    for name, magic in MAGIC.items():
        yield Hostile(f"magic-alone-{name}", magic, "refused")
        yield Hostile(f"magic-and-zeros-{name}", magic + bytes(5000), "refused")
        yield Hostile(f"magic-and-noise-{name}", magic + rasters.noise(50, 50, seed=len(name)).tobytes(), "refused")
    for encoder in ("GIF", "JPEG2000", "PPM", "TGA", "ICO", "PCX", "SGI"):
        file = io.BytesIO()
        Image.fromarray(rasters.colours()).save(file, encoder)
        yield Hostile(f"other-right-{encoder.lower()}", file.getvalue(), "refused")
