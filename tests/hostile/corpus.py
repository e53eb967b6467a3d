"""The hostile corpus: every file of every format, made anew each time; nothing of it is stored."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

from tests.hostile import corpus_bmp, corpus_heif, corpus_jpeg, corpus_other, corpus_png, corpus_tiff, corpus_webp
from tests.hostile.files import Hostile

#: Files that take a decoder to the limits of what is legal: they are for the report and for `make verify`.
HEAVY = frozenset({"png-30-mpx-16-bit-alpha", "png-30-mpx-8-bit", "jpeg-100-scans-30-mpx"})


def files(*, heavy: bool = True) -> Iterator[Hostile]:
    """All files, in the same order every time."""
    for part in (corpus_jpeg, corpus_png, corpus_webp, corpus_bmp, corpus_tiff, corpus_heif, corpus_other):
        for file in part.files():
            if heavy or file.name not in HEAVY:
                yield file


def write(path: Path) -> None:
    """All but the heavy ones into one file, for tests: making them takes longer than what is done with most."""
    path.write_bytes(pickle.dumps(list(files(heavy=False))))


def read(path: Path) -> list[Hostile]:
    """What `write` wrote."""
    return pickle.loads(path.read_bytes())
