"""A method or a format is one row: whatever reads it knows a new one, in a process that has one more of each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gateway.params import MaskParams
from gateway.pictures.masking import MaskOptions

ROOT = Path(__file__).resolve().parents[3]

_WITH_NEW_ROWS = """
import dataclasses
from types import SimpleNamespace

import numpy as np

from gateway.pictures import encode, input_formats, mask_methods
from gateway.pictures.headers.facts import Header

mask_methods.METHODS["stripes"] = dataclasses.replace(mask_methods.METHODS["solid"], words="Stripes over the face.")
encode.OUTPUTS["ppm"] = encode.Output("image/x-portable-pixmap", 200, 5, 0, lambda pixels, *_: memoryview(pixels).cast("B"))

read = lambda data: Header("tiny", data[4], data[5], decoder="samples")
tiny = SimpleNamespace(FORMAT="tiny", read=read, check_complete=lambda *_: None, profile=lambda _: None)
input_formats.INPUTS["tiny"] = input_formats.Input(
    "Tiny", "image/x-tiny", tiny, lambda start: start.startswith(b"TINY"), 5e6, lambda data, _: data,
    by_pillow=None, by_samples=lambda data: np.full((data[5], data[4], 3), 7, np.uint8),
)

from gateway.admission.fare import fare_of
from gateway.docs.openapi import document
from gateway.params import MaskParams, parse_params
from gateway.pictures import memory_need, rehearsal
from gateway.pictures.image_header import check_limits, read_header
from gateway.pictures.marks import Marks
from gateway.pictures.masking import weak_words
from gateway.pictures.picture_work import Decoded, mask_picture, open_picture
from gateway.pictures.what_came import not_a_picture
from shared.errors import BadParameter
from shared.faces import Faces
from shared.settings import Settings

options = parse_params(MaskParams, [("method", "stripes"), ("format", "ppm")], []).options
for length in (100, 300):
    header, pixels = Header("png", length, 4), np.full((4, length, 3), 9, np.uint8)
    face = Faces(np.float32([[0, 0, 50, 4]]), np.float32([1]), None)
    try:
        done = mask_picture(Decoded(header, pixels, None, (), 0, 0, False), Marks.all_of(face), options, Settings())
        assert (done.media_type, len(done.data), max(done.data[:90])) == ("image/x-portable-pixmap", 1200, 0)
    except BadParameter as error:
        assert length == 300 and "format=ppm holds at most 200 pixels a side" in str(error), error
assert memory_need.masking(header, "ppm") == 300 * 4 * 5
assert "stripes" in weak_words(options)

data = memoryview(b"TINY" + bytes([20, 30]))
header = read_header(data)
check_limits(header, Settings())
assert (open_picture(data, header, (64,), Settings(), to_mask=True).pixels == 7).all()
assert fare_of(header, 0, 1.0).cost_s == 20 * 30 * 5e-3 + 1
assert "HEIC, AVIF or Tiny" in not_a_picture(bytes(600))
try:
    rehearsal.rehearse(Settings())
except Exception as error:
    assert "could not find encoder" in str(error), error
else:
    raise AssertionError("a format that nobody can rehearse starts")

mask = document()["paths"]["/api/v1/mask"]["post"]
words = {each["name"]: each["schema"].get("enum", []) for each in mask["parameters"]}
assert "stripes" in words["method"] and "ppm" in words["format"]
assert "| `stripes` | Stripes over the face. |" in mask["description"]
assert {"image/x-tiny", "image/tiff"} <= mask["requestBody"]["content"].keys()
assert "AVIF and Tiny are read" in document()["info"]["description"]
assert "image/x-portable-pixmap" in mask["responses"]["200"]["content"]
"""


def test_a_new_row_is_known_wherever_methods_and_formats_are() -> None:
    subprocess.run([sys.executable, "-c", _WITH_NEW_ROWS], cwd=ROOT, check=True, timeout=120)


def test_every_option_of_masking_is_a_parameter_of_the_same_default_and_range() -> None:
    assert MaskParams().options == MaskOptions()
    kinds = MaskParams.__annotations__
    assert {name: kinds[name] for name in MaskOptions.__annotations__} == MaskOptions.__annotations__
