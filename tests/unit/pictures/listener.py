"""Decodes a third of the hostile corpus and masks what opens, as a picture child does after its rehearsal: what was opened then?

`python -m tests.unit.pictures.listener CORPUS` prints what Python asked for, as a JSON list.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
from pathlib import Path

import numpy as np

from gateway.pictures.encode import OUTPUTS
from gateway.pictures.image_header import check_limits, read_header
from gateway.pictures.marks import Marks
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import MaskOptions
from gateway.pictures.picture_work import mask_picture, open_picture
from gateway.pictures.rehearsal import rehearse
from shared.errors import FaceApiError
from shared.faces import Faces
from shared.settings import Settings
from tests.hostile import corpus

SETTINGS = Settings()
FACE = Faces(np.array([[1, 1, 9, 9]], np.float32), np.ones(1, np.float32), None)
heard: list[str] = []


def listen(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"import", "open", "os.listdir", "ctypes.dlopen"}:
        heard.append(f"{event} {arguments[0]}")


def work(data: memoryview, options: MaskOptions) -> None:
    header = read_header(data)
    check_limits(header, SETTINGS)
    opened = open_picture(data, header, (640,), SETTINGS, to_mask=True, metadata="all")
    mask_picture(opened, Marks.all_of(FACE), options, SETTINGS)


if __name__ == "__main__":
    files = corpus.read(Path(sys.argv[1]))[::3]
    rehearse(SETTINGS)
    sys.addaudithook(listen)
    ways = itertools.cycle(METHODS), itertools.cycle(OUTPUTS), itertools.cycle((False, False, True))
    for file, method, output, drawn in zip(files, *ways, strict=False):
        with contextlib.suppress(FaceApiError, MemoryError):
            work(memoryview(file.data), MaskOptions(method=method, format=output, annotate=drawn))
    print(json.dumps(heard))
