"""Small pictures beside dear ones and a bulk client: what waiting costs them, against equal load of small ones.

Dear are 12-megapixel photographs (`mixed`), or crowds that are looked at in tiles and thoroughly (`crowds`). Both phases
keep the service full all the time with equally many clients, so the load is equal; a few small requests a second from
an address of their own, less than its fair share, are timed in both. In turns, so that a noisy machine disturbs both
phases alike.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.measure import median, percentile
from loadtest.pictures import Kind, make
from tests.chaos.client import Client
from tests.service import PHOTOS, ROOT, Service, running_service

#: Requests a second that are timed, at most, and which part of one client's fair share; how many clients keep the
#: service full beside them, and how many connections one more of them has, a bulk client with small pictures.
RATE, OF_SHARE, CLIENTS, BULK = 4.0, 0.5, 8, 8
PAIRS, WARM_S = 3, 4.0
RATIO_MAX = 2.0


@dataclass(frozen=True, slots=True)
class _Dear:
    """Pictures of one kind, and what is asked of them; the clients take the queries in turn."""

    words: str
    kind: Kind
    queries: tuple[str, ...]


LARGE = _Dear("12-megapixel pictures", Kind("12mp", "few"), ("",))
CROWDS = _Dear("1080p crowds, in tiles and thoroughly", Kind("1080p", "many"), ("?tiles=16", "?thorough=true"))

#: One client's files, its address and its query.
_Load = tuple[list[bytes], str, str]


def mixed(seconds: float) -> tuple[list[str], bool]:
    """`seconds` a phase. Kept when the median of the pairs' ratios of p95 is within twice."""
    return _beside(LARGE, seconds)


def crowds(seconds: float) -> tuple[list[str], bool]:
    """The same beside requests of many looks."""
    return _beside(CROWDS, seconds)


def _beside(dear: _Dear, seconds: float) -> tuple[list[str], bool]:
    with tempfile.TemporaryDirectory(prefix="fa-") as text:
        folder, photos = Path(text), PHOTOS if PHOTOS.is_dir() else None
        small = [path.read_bytes() for path in make(Kind("360p", "few"), folder / "small", photos)]
        large = [path.read_bytes() for path in make(dear.kind, folder / "large", photos)]
        many = [(large, f"127.0.5.{number + 1}", dear.queries[number % len(dear.queries)]) for number in range(CLIENTS)]
        wanted = {"model": ROOT / "models/open/scrfd_500m_open.onnx", "precision": "fp32", "log_level": "warning"}
        with running_service(folder, runtime_dir=folder / "run", **wanted) as service:
            return asyncio.run(_pairs(service, small, many, dear.words, seconds))


async def _pairs(
    service: Service, small: list[bytes], many: Sequence[_Load], words: str, seconds: float
) -> tuple[list[str], bool]:
    port = int(service.url.rsplit(":", 1)[1])
    alone, beside = _Phase(port, small), _Phase(port, small)
    bulk = [(small, "127.0.4.1", "")] * BULK
    some = [(small, f"127.0.3.{number + 1}", "") for number in range(CLIENTS)]
    warm = _Phase(port, small)
    await warm.run(some + bulk, WARM_S)
    alone.rate = beside.rate = min(RATE, OF_SHARE * warm.others / WARM_S / (CLIENTS + 2))
    ratios = []
    for _ in range(PAIRS):
        first = await alone.run(some + bulk, seconds)
        second = await beside.run([*many, *bulk], seconds)
        ratios.append(percentile(second, 0.95) / percentile(first, 0.95))
    lines = [
        f"small pictures, {alone.rate:.2g}/s, beside {CLIENTS} clients with small ones and a bulk client: {alone}",
        f"beside {CLIENTS} clients with {words} and the bulk client with {BULK} connections: {beside}",
        f"p95 in pairs: {', '.join(f'{ratio:.2f}' for ratio in ratios)} (median {median(ratios):.2f}, promised {RATIO_MAX:g})",
    ]
    return lines, statistics.median(ratios) <= RATIO_MAX and not alone.refused and not beside.refused


class _Phase:
    """The timed requests of one kind of phase, over all its runs."""

    def __init__(self, port: int, small: list[bytes]) -> None:
        self._port, self._small = port, small
        self.waits_s: list[float] = []
        self.refused = 0
        self.others = 0
        self.rate = RATE
        self.seconds = 0.0

    def __str__(self) -> str:
        p50, p95 = (percentile(self.waits_s, share) * 1000 for share in (0.5, 0.95))
        return (
            f"p50 {p50:.0f} ms, p95 {p95:.0f} ms of {len(self.waits_s)}, {self.refused} refused; "
            f"the others {self.others / self.seconds:.1f}/s"
        )

    async def run(self, others: Sequence[_Load], seconds: float) -> list[float]:
        """Keeps the others asking; the waits of the timed requests of this run, seconds."""
        before, end = len(self.waits_s), time.monotonic() + seconds
        load = [asyncio.create_task(self._ask_on(*other, end)) for other in others]
        timed, number = [], 0
        while time.monotonic() < end:
            timed.append(asyncio.create_task(self._time(number)))
            number += 1
            await asyncio.sleep(1 / self.rate)
        await asyncio.gather(*load, *timed)
        self.seconds += seconds
        return self.waits_s[before:]

    async def _time(self, number: int) -> None:
        client, began = Client(self._port, "127.0.6.1"), time.monotonic()
        answer = await client.detect(self._small[number % len(self._small)])
        if answer.status == 200:
            self.waits_s.append(time.monotonic() - began)
        else:
            self.refused += 1
        client.close()

    async def _ask_on(self, files: list[bytes], source: str, query: str, end: float) -> None:
        client, number = Client(self._port, source), 0
        while time.monotonic() < end:
            answer = await client.detect(files[number % len(files)], query)
            number += 1
            self.others += answer.status == 200
        client.close()
