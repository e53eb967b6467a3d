"""`python -m tests.hostile.report`: every hostile file, the heavy ones too, with what it cost. Markdown on standard output."""

from __future__ import annotations

import statistics
from collections import Counter

from tests.hostile.corpus import files
from tests.hostile.gallery import Gallery, Outcome

ROWS = 15


def main() -> None:
    gallery = Gallery()
    found = {file.name: gallery.outcome(file.data) for file in files()}
    print(f"{len(found)} files: {dict(Counter(outcome.status for outcome in found.values()))}, "
          f"{sum(outcome.crashed for outcome in found.values())} crashes, "
          f"children {gallery.resident_bytes() / 1e6:.0f} MB at the end")  # fmt: skip
    refused = [outcome for outcome in found.values() if outcome.status != 200]
    print(f"refusals: median {1000 * statistics.median(outcome.cpu_s for outcome in refused):.2f} ms of computing")
    _table("slowest", found)
    _table("slowest refusals", {name: outcome for name, outcome in found.items() if outcome.status != 200})
    gallery.close()


def _table(title: str, found: dict[str, Outcome]) -> None:
    print(f"\n| {title} | status | computing ms | wall ms | peak MB | answer |\n| --- | --- | --- | --- | --- | --- |")
    for name, outcome in sorted(found.items(), key=lambda item: -item[1].cpu_s)[:ROWS]:
        times = f"{outcome.cpu_s * 1000:.1f} | {outcome.wall_s * 1000:.1f}"
        print(f"| {name} | {outcome.status} | {times} | {outcome.peak_bytes / 1e6:.0f} | {outcome.answer[:60]} |")


if __name__ == "__main__":
    main()
