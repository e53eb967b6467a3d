"""Plots as PNG: of a bench run latency, throughput, stage times, batch sizes; of models recall against cost; of a plan.

Alone knows matplotlib.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import msgspec

from loadtest.curve import Curve
from loadtest.measure import LIMIT, Measured, latencies_ms_of, median, percentile
from loadtest.planning import sizing
from loadtest.planning.recording import Recording
from loadtest.report import Results
from loadtest.servers import OURS

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def draw(results: Results, folder: Path, stem: str) -> list[Path]:
    """All plots of a run; the files written."""
    mpl.use("Agg")
    ways = {
        "latency": _latency_against_throughput,
        "clients": _throughput_against_clients,
        "stages": _stage_times,
        "batches": _batch_sizes,
    }
    return [_sheet(results, way, folder / f"{stem}-{name}.png") for name, way in ways.items()]


def _sheet(results: Results, way: Callable[[Any, list[Measured]], None], path: Path) -> Path:
    """One panel per kind of picture."""
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(results), figsize=(5 * len(results), 4), squeeze=False)
    for panel, (kind, rows) in zip(panels[0], results.items(), strict=True):
        way(panel, rows)
        panel.set_title(kind)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def _latency_against_throughput(panel: Any, rows: list[Measured]) -> None:
    for name, mark in zip(dict.fromkeys(run.contestant for run in rows if run.offered), "os^", strict=False):
        runs = [run for run in rows if run.contestant == name and run.offered]
        loads = [[run for run in runs if run.offered == rate] for rate in sorted({run.offered for run in runs})]
        reached = [median([run.rate for run in load]) for load in loads]
        for words, share in SHARES.items():
            late = [percentile(latencies_ms_of(load), share) for load in loads]
            panel.plot(reached, late, marker=mark, label=f"{name} {words}")
    panel.axvline(_limit(rows), linestyle=":", color="black", label="the limit")
    panel.set(xlabel="answers/s, open loop", ylabel="latency, ms", yscale="log")
    panel.legend(fontsize=7)


def _throughput_against_clients(panel: Any, rows: list[Measured]) -> None:
    rows = [run for run in rows if not run.body]
    for name in dict.fromkeys(run.contestant for run in rows if run.clients):
        counts = sorted({run.clients for run in rows if run.contestant == name and run.clients})
        groups = [[run.rate for run in rows if run.contestant == name and run.clients == count] for count in counts]
        middles = [median(group) for group in groups]
        below = [middle - min(group) for middle, group in zip(middles, groups, strict=True)]
        above = [max(group) - middle for middle, group in zip(middles, groups, strict=True)]
        panel.errorbar(counts, middles, yerr=[below, above], marker="o", capsize=3, label=name)
    panel.axhline(_limit(rows), linestyle=":", color="black", label="the limit")
    panel.set(xlabel="clients, closed loop", ylabel="answers/s", ylim=(0, None))
    panel.legend(fontsize=7)


def _stage_times(panel: Any, rows: list[Measured]) -> None:
    """Stacked, by number of clients; the queue is left out, since a closed loop sets it."""
    counts = sorted({run.clients for run in rows if run.contestant == OURS and run.clients})
    groups = {
        count: [run.stages_ms for run in rows if run.contestant == OURS and run.clients == count] for count in counts
    }
    names = list(dict.fromkeys(name for group in groups.values() for one in group for name in one))
    bottom = [0.0] * len(counts)
    for name in names:
        if name not in ("total", "queue"):
            heights = [median([one.get(name, 0.0) for one in groups[count]]) for count in counts]
            panel.bar([str(count) for count in counts], heights, bottom=bottom, label=name)
            bottom = [low + high for low, high in zip(bottom, heights, strict=True)]
    panel.set(xlabel="clients", ylabel="ms by Server-Timing, without the queue")
    panel.legend(fontsize=7)


def _batch_sizes(panel: Any, rows: list[Measured]) -> None:
    totals: dict[str, int] = {}
    for run in rows:
        for bound, count in run.batches.items():
            totals[bound] = totals.get(bound, 0) + count
    bounds = sorted(totals, key=float)
    panel.bar([f"≤ {float(bound):g}" for bound in bounds], [totals[bound] for bound in bounds])
    panel.set(xlabel="pictures in one run", ylabel="answers")


def _series(detector: str) -> str:
    """The model, and how it looks, of the name of one of its forms."""
    return detector.split(maxsplit=1)[0] + "".join(detector.partition(",")[1:])


def draw_curve(curve: Curve, path: Path) -> None:
    """A panel per set of photographs; a model's forms are joined by a line."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    kinds = list(dict.fromkeys(kind for one in curve.points for kind in one.recall))
    figure, panels = plt.subplots(1, len(kinds), figsize=(4.5 * len(kinds), 4), squeeze=False)
    for panel, kind in zip(panels[0], kinds, strict=True):
        for series in dict.fromkeys(_series(one.detector) for one in curve.points):
            some = [one for one in curve.points if _series(one.detector) == series and kind in one.recall]
            if not some:
                continue
            cost, recall = [one.ms[0] for one in some], [one.recall[kind] for one in some]
            reach = [[value - low for value, low, _ in recall], [high - value for value, _, high in recall]]
            panel.errorbar(cost, [value for value, _, _ in recall], yerr=reach, marker="o", capsize=3, label=series)
            for one, (value, _, _) in zip(some, recall, strict=True):
                words = one.detector.split(",")[0].split()[1:]
                spot = {"xytext": (4, -10), "textcoords": "offset points"}
                panel.annotate(" ".join(words), (one.ms[0], value), **spot, fontsize=7)
        panel.set(
            xlabel="ms of one core, a photograph at 640", ylabel="recall, faces ≥ 16 px", title=f"{kind} ({curve.half})"
        )
        panel.set_xlim(left=0)
        panel.legend(fontsize=7, loc="best")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_plan(recordings: Sequence[Recording], curve: sizing.Curve, plan: sizing.Plan, path: Path) -> None:
    """The model's p99 against the rate of a host, what was measured on it, and where the plan stands."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panel = plt.subplots(figsize=(6, 4))
    panel.plot(curve.rates, curve.p99_s, label="model, one host among others")
    for one, mark in zip(recordings, "os", strict=False):
        rates = [point.offered / one.hosts for point in one.points]
        words = f"measured, {one.hosts} host{'s' * (one.hosts > 1)}"
        panel.plot(rates, [point.p99_s for point in one.points], mark, label=words)
    panel.plot([plan.per_host], [plan.p99_s], "*", markersize=12, label=f"plan: {plan.hosts} hosts")
    panel.axhline(plan.wish.p99_s, linestyle=":", color="black", label="wanted")
    panel.set(xlabel="requests/s of one host", ylabel="p99, s", ylim=(0, None))
    panel.set_title(f"{plan.wish.rate:,.0f} requests/s")
    panel.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _limit(rows: list[Measured]) -> float:
    return median([run.rate for run in rows if run.contestant == LIMIT and run.load != "bare 1"])


def main(arguments: list[str]) -> int:
    """Draws an earlier run, or with --curve what `loadtest.curve` wrote, beside its file."""
    path = Path(arguments[-1])
    if arguments[0] == "--curve":
        draw_curve(msgspec.json.decode(path.read_bytes(), type=Curve), path.with_suffix(".png"))
        return 0
    for written in draw(msgspec.json.decode(path.read_bytes(), type=Results), path.parent, path.stem):
        print(written)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
