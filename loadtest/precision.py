"""`python -m loadtest.precision`: what users get by default on this CPU against the same service in fp32, side by side.

Two services with the same model run at once and are loaded in turn; the ratio is of their answers per second.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

import msgspec

from loadtest import pictures
from loadtest.bench import MATERIAL, tell
from loadtest.measure import Measured, Shot, measure_server, median
from loadtest.pictures import Kind
from loadtest.servers import Server, ours
from models.serving import ensure
from shared.settings import Settings

KINDS = (Kind("360p", "few"), Kind("360p", "many"), Kind("1080p", "few"), Kind("1080p", "many"))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of picture: answers per second of both, medians over the rounds, and the median of their ratios."""

    kind: str
    model: str
    served: str
    fp32_rate: float
    default_rate: float
    ratio: float
    least: float
    most: float


def settings_of(options: argparse.Namespace, precision: str) -> Settings:
    folder = options.model_dir or (str(MATERIAL / "models") if (MATERIAL / "models").is_dir() else "")
    return msgspec.convert(
        {
            "api_key_enabled": False, "rate_limit_enabled": False, "model": options.model, "model_dir": folder,
            "precision": precision, "data_dir": options.data_dir, "request_timeout": 60.0, "metrics_port": -1,
        },
        Settings,
    )  # fmt: skip


def compare(kind: Kind, folder: Path, servers: tuple[Server, Server], options: argparse.Namespace) -> list[Measured]:
    """fp32 and default in turn, `rounds` times; the faces of an answer are each server's own business."""
    place = folder / kind.name
    pictures.make(kind, place, MATERIAL / "photos" if (MATERIAL / "photos").is_dir() else None)
    shot = Shot(folder=place, faces=[], clients=options.clients, seconds=options.seconds)
    rows = []
    for number in range(options.rounds):
        for server in servers:
            measured = msgspec.structs.replace(measure_server(server, shot), contestant=server.name, round=number)
            tell(f"  {kind.name} {number + 1}/{options.rounds}  {server.name:<8} {measured.rate:7.1f}/s")
            rows.append(measured)
    return rows


def row_of(kind: Kind, model: str, served: str, rows: list[Measured]) -> Row:
    rates = {name: [one.rate for one in rows if one.contestant == name] for name in ("fp32", "default")}
    ratios = [default / fp32 for fp32, default in zip(rates["fp32"], rates["default"], strict=True)]
    return Row(
        kind=kind.name,
        model=model,
        served=served,
        fp32_rate=round(median(rates["fp32"]), 1),
        default_rate=round(median(rates["default"]), 1),
        ratio=round(median(ratios), 2),
        least=round(min(ratios), 2),
        most=round(max(ratios), 2),
    )


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| pictures | model | auto serves | fp32 answers/s | auto answers/s | ratio (spread) |"]
    lines.append("| --- |" + " --- |" * 5)
    lines += [
        f"| {row.kind} | {row.model} | {row.served} | {row.fp32_rate} | {row.default_rate} "
        f"| {row.ratio} ({row.least} to {row.most}) |"
        for row in rows
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    plain, default = settings_of(options, "fp32"), settings_of(options, "auto")
    ensure(plain, tell)
    served = ensure(default, tell).info
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="face-api-precision-")))
        servers = (
            stack.enter_context(ours(plain, folder / "fp32.log")),
            stack.enter_context(ours(default, folder / "default.log")),
        )
        for server, name in zip(servers, ("fp32", "default"), strict=True):
            server.name = name
        rows = [row_of(kind, served.name, served.precision, compare(kind, folder, servers, options)) for kind in KINDS]
    print(msgspec.json.encode(rows).decode() if options.json else table(rows))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m loadtest.precision", description=__doc__)
    made.add_argument("--model", default="scrfd_2.5g_bnkps", help="as FACE_API_MODEL")
    made.add_argument("--model-dir", default="", help="as FACE_API_MODEL_DIR")
    made.add_argument("--data-dir", default="var", help="where prepared models are cached")
    made.add_argument("--clients", type=int, default=32)
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    made.add_argument("--json", action="store_true")
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
