"""What records cost: answers a second with none, with best_effort and with required, and with pictures in a folder.

`python -m loadtest.records_cost`: all five services run at once and are loaded in turn, detect and mask, in many short
rounds. A ratio is of two neighbours in time, to the service that keeps none; told are their median and where it lies in
95 of 100 draws of rounds (bootstrap). Records are on the disk that holds the temporary folder.
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
from loadtest.measure import DETECT, Measured, Shot, measure_server, median
from loadtest.pictures import Kind
from loadtest.servers import ours
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
    """Medians over rounds. ratio: of answers a second to those without records. interval: of 95 %. failed: answers
    that were none.
    """

    task: str
    way: str
    rate: float
    cpu_ms: float
    ratio: float
    interval: tuple[float, float]
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


def measure(options: argparse.Namespace, folder: Path) -> dict[tuple[str, str], list[Measured]]:
    """By task and way: one measurement a round."""
    found: dict[tuple[str, str], list[Measured]] = {}
    with contextlib.ExitStack() as stack:
        servers = {}
        for way in WAYS:
            log = folder / f"{way}.log"
            servers[way] = stack.enter_context(ours(settings_of(options, way, folder), log))
        for number in range(options.rounds):
            for task, target in TARGETS.items():
                shot = Shot(
                    folder=folder / KIND.name, faces=[], clients=options.clients, seconds=options.seconds, target=target
                )
                ways = [way for way in WAYS if task == "mask" or not WAYS[way][1]]  # detect has no pictures to keep
                for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                    found.setdefault((task, way), []).append(measure_server(servers[way], shot))
                tell(f"  round {number + 1}/{options.rounds} {task}")
    return found


def rows_of(found: dict[tuple[str, str], list[Measured]]) -> list[RecordsRow]:
    rows = []
    for (task, way), measured in found.items():
        ratios = [one.rate / off.rate for one, off in zip(measured, found[task, OFF], strict=True)]
        rows.append(
            RecordsRow(
                task=task, way=way, rate=round(median([one.rate for one in measured]), 1),
                cpu_ms=round(median([one.cpu_ms for one in measured]), 2), ratio=round(median(ratios), 3),
                interval=interval(ratios), rounds=len(measured), failed=sum(one.failed for one in measured),
            )
        )  # fmt: skip
    return rows


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """In which the median lies in 95 of 100 draws."""
    draw = random.Random(0)
    medians = sorted(median(draw.choices(ratios, k=len(ratios))) for _ in range(DRAWS))
    return round(medians[DRAWS // 40], 3), round(medians[-DRAWS // 40 - 1], 3)


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
    print("| task | records | answers/s | CPU ms/answer | ratio (95 %) |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        low, high = row.interval
        print(f"| {row.task} | {row.way} | {row.rate} | {row.cpu_ms} | {row.ratio:.3f} ({low:.3f} to {high:.3f}) |")
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.records_cost", description=__doc__)
    parser.add_argument("--model", default="auto", help="as FACE_API_MODEL")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--photos", type=Path, help="faces for the pictures; drawn ones if absent")
    parser.add_argument("--folder", type=Path, help="where records are written; the temporary folder if absent")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
