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

from gateway.pictures import encode, mask_methods

mask_methods.METHODS["stripes"] = dataclasses.replace(mask_methods.METHODS["solid"], words="Stripes over the face.")
encode.OUTPUTS["ppm"] = encode.Output("image/x-portable-pixmap", 200, 5, 0, lambda pixels, *_: memoryview(pixels).cast("B"))

import numpy as np

from gateway.docs.openapi import document
from gateway.params import MaskParams, parse_params
from gateway.pictures import memory_need, rehearsal
from gateway.pictures.headers.facts import Header
from gateway.pictures.masking import weak_words
from gateway.pictures.picture_work import Opened, mask_picture
from shared.errors import BadParameter
from shared.faces import Faces
from shared.settings import Settings

options = parse_params(MaskParams, [("method", "stripes"), ("format", "ppm")], []).options
for length in (100, 300):
    header, pixels = Header("png", length, 4), np.full((4, length, 3), 9, np.uint8)
    face = Faces(np.float32([[0, 0, 50, 4]]), np.float32([1]), None)
    try:
        done = mask_picture(Opened(header, pixels, None, (), 0, 0, False), face, options, Settings())
        assert (done.media_type, len(done.data), max(done.data[:90])) == ("image/x-portable-pixmap", 1200, 0)
    except BadParameter as error:
        assert length == 300 and "format=ppm holds at most 200 pixels a side" in str(error), error
assert memory_need.masking(header, "ppm") == 300 * 4 * 5
assert "stripes" in weak_words(options)
rehearsal.rehearse(Settings())
mask = document()["paths"]["/api/v1/mask"]["post"]
words = {each["name"]: each["schema"].get("enum", []) for each in mask["parameters"]}
assert "stripes" in words["method"] and "ppm" in words["format"]
assert "| `stripes` | Stripes over the face. |" in mask["description"]
assert "image/x-portable-pixmap" in mask["responses"]["200"]["content"]
"""


def test_a_new_row_is_known_wherever_methods_and_formats_are() -> None:
    subprocess.run([sys.executable, "-c", _WITH_NEW_ROWS], cwd=ROOT, check=True, timeout=120)


def test_every_option_of_masking_is_a_parameter_of_the_same_default_and_range() -> None:
    assert MaskParams().options == MaskOptions()
    kinds = MaskParams.__annotations__
    assert {name: kinds[name] for name in MaskOptions.__annotations__} == MaskOptions.__annotations__
