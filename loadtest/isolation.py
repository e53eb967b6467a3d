"""`python -m loadtest.isolation`: the service with its decoders in child processes against threads, side by side.

Both run at once with the same model and are loaded in turn; the ratio is of their answers per second in one round.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Literal

from loadtest.bench import MATERIAL, tell
from loadtest.measure import Measured, median
from loadtest.pictures import Kind
from loadtest.precision import compare
from loadtest.servers import ours
from models.serving import ensure
from shared.settings import Settings

KINDS = (Kind("360p", "few"), Kind("1080p", "few"), Kind("1080p", "many"))
WAYS: tuple[Literal["thread", "process"], ...] = ("thread", "process")


def settings_of(options: argparse.Namespace, way: Literal["thread", "process"]) -> Settings:
    folder = str(MATERIAL / "models") if (MATERIAL / "models").is_dir() else ""
    return Settings(
        api_key_enabled=False, rate_limit_enabled=False, model=options.model, model_dir=folder, precision="fp32",
        data_dir="var", request_timeout=60.0, metrics_port=-1, decode_isolation=way,
    )  # fmt: skip


def line(kind: Kind, rows: list[Measured]) -> str:
    """One row of the table: medians over the rounds."""
    threads, processes = ([one for one in rows if one.contestant == way] for way in WAYS)
    ratios = [ours.rate / theirs.rate for theirs, ours in zip(threads, processes, strict=True)]
    cells = [f"{median([one.rate for one in way]):.1f}" for way in (threads, processes)]
    spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"| {kind.name} | {' | '.join(cells)} | {spread} |"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.isolation", description=__doc__)
    parser.add_argument("--model", default="auto", help="as FACE_API_MODEL; fp32")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    options = parser.parse_args(arguments)
    ensure(settings_of(options, "process"), tell)
    print("| pictures | threads, answers/s | processes, answers/s | ratio (spread) |\n| --- | --- | --- | --- |")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="face-api-isolation-")))
        thread, process = (stack.enter_context(ours(settings_of(options, way), folder / f"{way}.log")) for way in WAYS)
        thread.name, process.name = WAYS
        for kind in KINDS:
            print(line(kind, compare(kind, folder, (thread, process), options)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
