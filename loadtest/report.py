"""From measurements to a table: medians over rounds with their spread, and shares of the limit in the same round.

Pure: `python -m loadtest.report FILE.json` prints the table of an earlier run again.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from loadtest.client import arrival_times
from loadtest.measure import LIMIT, WARM_S, WHOLE_LIMIT, Measured, latencies_ms_of, median, percentile
from loadtest.queueing import least_latencies
from loadtest.servers import OURS

Results = dict[str, list[Measured]]

HEAD = (
    "| pictures | server | load | answers/s (spread) | of the limit | CPU ms/answer (spread) | of the bare loop's "
    "| p50 ms | p95 ms | p99 ms |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def table(results: Results) -> str:
    """Markdown, one row per picture kind, server and load."""
    return "\n".join([HEAD, *(row for kind, rows in results.items() for row in _rows(kind, rows))])


def _rows(kind: str, rows: list[Measured]) -> list[str]:
    loads = dict.fromkeys((one.contestant, one.load) for one in rows)
    return [_row(kind, [one for one in rows if (one.contestant, one.load) == key], rows) for key in loads]


def _row(kind: str, runs: list[Measured], everything: list[Measured]) -> str:
    first = runs[0]
    latencies = latencies_ms_of(runs)
    comparable = bool(first.clients) or first.contestant in (LIMIT, WHOLE_LIMIT)
    shares = wall_shares(runs, everything) if comparable and first.load != "bare 1" else []
    cpu = cpu_shares(runs, everything) if comparable else []
    cells = [
        kind,
        first.contestant,
        first.load,
        _spread(runs, lambda run: run.rate, ".1f"),
        f"{median(shares):.2f}" if shares else "",
        _spread(runs, lambda run: run.cpu_ms, ".2f"),
        f"{median(cpu):.2f}" if cpu else "",
        *(f"{percentile(latencies, share):.1f}" for share in (0.5, 0.95, 0.99)),
    ]
    return "| " + " | ".join(cells) + " |"


def _spread(runs: list[Measured], figure: Callable[[Measured], float], form: str) -> str:
    values = [figure(run) for run in runs]
    middle = f"{median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}} to {max(values):{form}})"


def wall_shares(runs: list[Measured], everything: list[Measured]) -> list[float]:
    """Throughput of each run over the limit's mean in the same round."""
    return [run.rate / _limit(everything, run.round, lambda one: one.rate) for run in runs]


def cpu_shares(runs: list[Measured], everything: list[Measured]) -> list[float]:
    """Processor time per answer of each run over the bare loop's in the same round."""
    return [run.cpu_ms / _limit(everything, run.round, lambda one: one.cpu_ms) for run in runs]


def _limit(everything: list[Measured], number: int, figure: Callable[[Measured], float]) -> float:
    found = [
        figure(one) for one in everything if one.contestant == LIMIT and one.load != "bare 1" and one.round == number
    ]
    return sum(found) / len(found)


def latency_share(rows: list[Measured]) -> float:
    """p50 of one client over the bare sequence's, alone on the machine; NaN where no single client was measured."""
    ours = latencies_ms_of([run for run in rows if run.contestant == OURS and run.clients == 1])
    bare = latencies_ms_of([run for run in rows if run.load == "bare 1"])
    return percentile(ours, 0.5) / percentile(bare, 0.5)


def summary(results: Results) -> str:
    """The four figures everything is judged by, for each kind of picture."""
    lines = []
    for kind, rows in results.items():
        most = max(run.clients for run in rows)
        ours = _closed(rows, OURS, most)
        lines.append(
            f"{kind}, {most} clients: {median(wall_shares(ours, rows)):.3f} of the limit, "
            f"{median(cpu_shares(ours, rows)):.3f} of the bare loop's CPU per answer"
        )
        if not math.isnan(alone := latency_share(rows)):
            lines[-1] += f"; one client: p50 {alone:.2f} of the bare sequence's"
        if raw := _closed(rows, OURS, most, "raw"):
            lines.append(f"  raw bodies: {_rate(raw) / _rate(ours):.2f} times as many answers as in forms")
        lines += _against_peers(rows, most)
    return "\n".join(lines)


def _closed(rows: list[Measured], contestant: str, clients: int, body: str = "") -> list[Measured]:
    return [run for run in rows if (run.contestant, run.clients, run.body) == (contestant, clients, body)]


def _rate(runs: list[Measured]) -> float:
    return median([run.rate for run in runs])


def _against_peers(rows: list[Measured], most: int) -> list[str]:
    """Throughput side by side, and p99 at the rate offered to both."""
    lines = []
    for name in dict.fromkeys(run.contestant for run in rows if run.contestant not in (LIMIT, WHOLE_LIMIT, OURS)):
        theirs = _rate(_closed(rows, name, most))
        line = f"  {name}: we answer {_rate(_closed(rows, OURS, most)) / theirs:.2f} times as many"
        if raw := _closed(rows, OURS, most, "raw"):
            line += f", of raw bodies {_rate(raw) / theirs:.2f}"
        offered = [run for run in rows if run.contestant == name and run.offered]
        if offered:
            same = [run for run in rows if run.contestant == OURS and run.load == offered[0].load]
            p99 = [percentile(latencies_ms_of(group), 0.99) for group in (same, offered)]
            line += (
                f"; both offered {offered[0].offered:.1f}/s: p99 {p99[0]:.0f} ms against its {p99[1]:.0f} ms, "
                f"{percentile(least(rows, offered), 0.99):.0f} ms at best"
            )
        lines.append(line)
    return lines


def least(rows: list[Measured], offered: list[Measured]) -> list[float]:
    """Milliseconds that the arrivals of these runs would have taken at the bare loop's speed, without any server."""
    bare = [run for run in rows if run.contestant == LIMIT and run.load != "bare 1"]
    work_ms = latencies_ms_of(bare)
    cores = int(bare[0].load.removeprefix("bare "))
    found: list[float] = []
    for run in offered:
        times = arrival_times(run.offered, WARM_S + run.seconds, "poisson", run.round)
        late = least_latencies(times, work_ms, cores)
        found += [ms for at, ms in zip(times, late, strict=True) if at >= WARM_S]
    return found


def main(arguments: list[str]) -> int:
    """Prints an earlier run."""
    results = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Results)
    print(table(results))
    print()
    print(summary(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
