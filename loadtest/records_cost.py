"""What records cost: answers a second with none, with best_effort and with required, and with pictures in a folder.

`python -m loadtest.records_cost`: all services run at once and are loaded in turn, detect and mask, in many short
rounds, and are started anew several times, since one start can differ from the next. A ratio is of two neighbours in
time, to the service that keeps none, of answers a second and of processor time for an answer; told are their median and
where it lies in 95 of 100 draws of rounds (bootstrap). Records are on the disk that holds the temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from loadtest import pictures
from loadtest.measure import Measured, Shot, measure_server, median
from loadtest.pictures import Kind
from loadtest.servers import DETECT, ours
from models.ensure import ensure
from shared.settings import Settings

KIND = Kind("360p", "few")
TARGETS = {"detect": DETECT, "mask": "/api/v1/mask"}
OFF = "off"
#: Records, and whether pictures are kept.
WAYS = {
    OFF: (OFF, False),
    "best_effort": ("best_effort", False),
    "required": ("required", False),
    "best_effort, pictures": ("best_effort", True),
    "required, pictures": ("required", True),
}
DRAWS = 2000


class RecordsRow(msgspec.Struct, frozen=True, kw_only=True):
    """Medians over rounds. ratio: of answers a second to those without records; cpu_ratio: of processor time for an
    answer. The intervals are of 95 %. failed: answers that were none.
    """

    task: str
    way: str
    rate: float
    cpu_ms: float
    ratio: float
    interval: tuple[float, float]
    cpu_ratio: float
    cpu_interval: tuple[float, float]
    rounds: int
    failed: int


def settings_of(options: argparse.Namespace, way: str, folder: Path) -> Settings:
    """A service with a database of its own."""
    mode, pictured = WAYS[way]
    data = folder / way.replace(", ", "-")
    given = {
        "api_key_enabled": False, "rate_limit_enabled": False, "model": options.model,
        "precision": "fp32", "request_timeout": 60.0, "metrics_port": -1, "data_dir": str(data), "records": mode,
        "storage_url": (data / "pictures").as_uri() if pictured else "", "workers": 1, "gateway_processes": 1,
    }  # fmt: skip
    return msgspec.convert(given, Settings)


Found = dict[tuple[str, str], list[Measured]]


def measure(options: argparse.Namespace, folder: Path) -> Found:
    """By task and way: one measurement a round, of all starts."""
    found: Found = {}
    for number in range(options.starts):
        tell(f"start {number + 1}/{options.starts}")
        one_start(options, folder, folder / str(number), found)
    return found


def one_start(options: argparse.Namespace, folder: Path, own: Path, found: Found) -> None:
    """Adds its measurements. own: its services' folder."""
    own.mkdir()
    wanted = (OFF, *options.ways)
    with contextlib.ExitStack() as stack:
        servers = {way: stack.enter_context(ours(settings_of(options, way, own), own / f"{way}.log")) for way in wanted}
        for number in range(options.rounds):
            for task in options.tasks:
                shot = Shot(
                    folder=folder / KIND.name, faces=[], clients=options.clients, seconds=options.seconds,
                    target=TARGETS[task],
                )  # fmt: skip
                ways = [way for way in wanted if task == "mask" or not WAYS[way][1]]  # detect has no pictures to keep
                for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                    found.setdefault((task, way), []).append(measure_server(servers[way], shot))
                tell(f"  round {number + 1}/{options.rounds} {task}")


def rows_of(found: dict[tuple[str, str], list[Measured]]) -> list[RecordsRow]:
    rows = []
    for (task, way), measured in found.items():
        pairs = list(zip(measured, found[task, OFF], strict=True))
        ratios = [one.rate / off.rate for one, off in pairs]
        cpu_ratios = [one.cpu_ms / off.cpu_ms for one, off in pairs]
        rows.append(
            RecordsRow(
                task=task, way=way, rate=round(median([one.rate for one in measured]), 1),
                cpu_ms=round(median([one.cpu_ms for one in measured]), 2), ratio=round(median(ratios), 3),
                interval=interval(ratios), cpu_ratio=round(median(cpu_ratios), 3), cpu_interval=interval(cpu_ratios),
                rounds=len(measured), failed=sum(one.failed for one in measured),
            )
        )  # fmt: skip
    return rows


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """In which the median lies in 95 of 100 draws."""
    draw = random.Random(0)
    medians = sorted(median(draw.choices(ratios, k=len(ratios))) for _ in range(DRAWS))
    return round(medians[DRAWS // 40], 3), round(medians[-DRAWS // 40 - 1], 3)


def told(ratio: float, interval: tuple[float, float]) -> str:
    return f"{ratio:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="face-api-records-cost-", dir=options.folder) as name:
        folder = Path(name)
        ensure(settings_of(options, OFF, folder), tell)
        pictures.make(KIND, folder / KIND.name, options.photos)
        rows = rows_of(measure(options, folder))
    if options.json:
        print(msgspec.json.encode(rows).decode())
        return 0
    print("| task | records | answers/s | ratio (95 %) | CPU ms/answer | ratio (95 %) | rounds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        rate, cpu = told(row.ratio, row.interval), told(row.cpu_ratio, row.cpu_interval)
        print(f"| {row.task} | {row.way} | {row.rate} | {rate} | {row.cpu_ms} | {cpu} | {row.rounds} |")
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.records_cost", description=__doc__)
    parser.add_argument("--model", default="auto", help="as FACE_API_MODEL")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--starts", type=int, default=3, help="of all services anew")
    parser.add_argument("--rounds", type=int, default=10, help="after each start")
    parser.add_argument("--tasks", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--ways", nargs="+", choices=[*WAYS][1:], default=[*WAYS][1:])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--photos", type=Path, help="faces for the pictures; drawn ones if absent")
    parser.add_argument("--folder", type=Path, help="where records are written; the temporary folder if absent")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
