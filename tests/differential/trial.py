"""A trial: many odd files, each judged; the faults and what is decided, counted by kind."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.differential import judge, odd_bmp, odd_heif, odd_jpeg, odd_png, odd_tiff, odd_webp
from tests.differential.browser import Browser
from tests.differential.oddity import Maker, Oddity
from tests.differential.readings import Readers, Reading, readers, with_browser

MAKERS: dict[str, Maker] = {
    "jpeg": odd_jpeg.files,
    "png": odd_png.files,
    "webp": odd_webp.files,
    "bmp": odd_bmp.files,
    "tiff": odd_tiff.files,
    "heic": odd_heif.heic,
    "avif": odd_heif.avif,
}


@dataclass(slots=True)
class Trial:
    """files: how many were judged. served: how many of them. faults, decided: how many of each kind."""

    files: int = 0
    served: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    decided: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[Oddity, Reading]] = field(default_factory=dict)

    def note(self, oddity: Oddity, reading: Reading, twin: Reading | None) -> None:
        self.files += 1
        self.served += not reading.service
        if found := judge.fault(oddity, reading, twin):
            name = f"{found}: {oddity.kind}"
            self.faults[name] += 1
            self.examples.setdefault(name, (oddity, reading))
        elif judge.is_decided(oddity, reading):
            self.decided[judge.decided(reading, twin)] += 1


def files(maker: Maker, seeds: Iterable[int]) -> Iterator[Oddity]:
    """Every kind, once for each seed."""
    for seed in seeds:
        yield from maker(random.Random(seed))


def tried(oddities: Iterable[Oddity], browser: Browser | None = None) -> Trial:
    """All of them, read and judged. browser: a third witness."""
    trial = Trial()
    with readers() as reader:
        twins: dict[bytes, Reading] = {}
        for oddity in oddities:
            reading = reader.read(oddity.data)
            if browser is not None:
                reading = with_browser(reading, browser.show(oddity.data))
            trial.note(oddity, reading, _of_twin(oddity, reader, twins))
    return trial


def _of_twin(oddity: Oddity, reader: Readers, known: dict[bytes, Reading]) -> Reading | None:
    if oddity.twin and oddity.twin not in known:
        known[oddity.twin] = reader.read(oddity.twin)
    return known.get(oddity.twin)
