"""`python -m tests.hostile.report`: every hostile file, the heavy ones too, with its time and memory, as Markdown.

One child, one file at a time, on a machine that does nothing else. `--all` prints every file, not the worst alone.
Ends with 1 when a status, a crash or something left behind is not as it should be; times only tell.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable

from tests.hostile.corpus import files
from tests.hostile.gallery import Gallery, Outcome

ROWS = 12
MEGABYTE = 1e6
SLOWEST_S_MAX, REFUSAL_S_MAX = 2.0, 0.020
#: How a decoder's refusals begin: such a file had to be decoded to be known for what it is.
_BY_DECODER = ("The picture is damaged", "The picture could not be decoded", "The picture could not be processed")

Named = tuple[str, Outcome]
Cost = Callable[[Outcome], float]


def main(arguments: list[str]) -> int:
    everything = _options(arguments).all
    gallery = Gallery()
    gc.disable()  # the corpus is collected between files otherwise, at some file's cost
    found = [(file.name, gallery.outcome(file.data)) for file in files()]
    refused = [one for one in found if one[1].status != 200]
    on_sight = [one for one in refused if not one[1].answer.startswith(_BY_DECODER)]
    decoded = [one for one in refused if one[1].answer.startswith(_BY_DECODER)]
    left = _left_behind(gallery)
    for line in (*_totals(found), *_times(found, on_sight, decoded), *_memory(gallery, found), left or "nothing left"):
        print(f"- {line}")
    _table("all" if everything else "slowest", found, len(found) if everything else ROWS)
    if not everything:
        _table("slowest refusals on sight", on_sight)
        _table("slowest refusals by a decoder", decoded)
        _table("most memory", found, key=lambda outcome: outcome.peak_bytes)
    gallery.close()
    well = not left and not any(one.crashed or one.status not in (200, 400, 413) for _, one in found)
    return 0 if well else 1


def _totals(found: list[Named]) -> Iterable[str]:
    statuses = Counter(outcome.status for _, outcome in found)
    counted = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    yield f"{len(found)} files: {counted}; {sum(outcome.crashed for _, outcome in found)} crashes"


def _times(found: list[Named], on_sight: list[Named], decoded: list[Named]) -> Iterable[str]:
    yield f"slowest {_slowest(found)}; the limit is {SLOWEST_S_MAX * 1000:.0f} ms"
    median = statistics.median(outcome.wall_s for _, outcome in on_sight)
    yield (
        f"{len(on_sight)} refused on sight, median {median * 1000:.2f} ms, slowest {_slowest(on_sight)}; "
        f"the limit is {REFUSAL_S_MAX * 1000:.0f} ms"
    )
    yield f"{len(decoded)} refused by a decoder, slowest {_slowest(decoded)}"


def _slowest(found: list[Named]) -> str:
    _, worst = max(found, key=lambda one: one[1].wall_s)
    return f"{worst.wall_s * 1000:.1f} ms ({worst.cpu_s * 1000:.1f} ms of computing)"


def _memory(gallery: Gallery, found: list[Named]) -> Iterable[str]:
    most = max(outcome.peak_bytes for _, outcome in found)
    yield (
        f"the child had {gallery.resident_at_start / MEGABYTE:.0f} MB at first, {most / MEGABYTE:.0f} MB at most, "
        f"{gallery.resident_bytes() / MEGABYTE:.0f} MB at last"
    )


def _left_behind(gallery: Gallery) -> str:
    """What is wrong, or nothing."""
    wrong = []
    if not gallery.nothing_is_counted():
        wrong.append("bytes are still counted as in use")
    if gallery.open_files() != gallery.files_at_start:
        wrong.append(f"other files are open: {gallery.open_files()}")
    if gallery.written_bytes():
        wrong.append(f"{gallery.written_bytes()} bytes were written to a disk")
    return "; ".join(wrong)


def _table(title: str, found: list[Named], rows: int = ROWS, key: Cost = lambda outcome: outcome.wall_s) -> None:
    print(f"\n| {title} | status | computing ms | wall ms | peak MB | answer |\n| --- | --- | --- | --- | --- | --- |")
    for name, outcome in sorted(found, key=lambda one: -key(one[1]))[:rows]:
        times = f"{outcome.cpu_s * 1000:.1f} | {outcome.wall_s * 1000:.1f}"
        print(f"| {name} | {outcome.status} | {times} | {outcome.peak_bytes / MEGABYTE:.0f} | {outcome.answer[:70]} |")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.report", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every file, not the worst alone")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
