"""`python -m loadtest.side_by_side A B`: the service with one set of settings against itself with another.

A and B are settings without their prefix, `name=value` with commas between (`decode_sandbox=off`), or `-` for the
defaults (in fp32 unless they say otherwise). With `--before REVISION` A is the service as it was then, out of git.
Both services run at once and are loaded in turn; a ratio is of two neighbours in time. They are started anew several
times: one start was seen to be a tenth quicker or slower than the next for as long as it lived, and why is not known.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from loadtest import pictures
from loadtest.bench import MATERIAL, tell
from loadtest.measure import Measured, Shot, latencies_ms_of, measure_server, median, percentile
from loadtest.pictures import Kind
from loadtest.servers import ROOT, ours
from models.ensure import ensure
from shared.settings import Settings

KINDS = (Kind("360p", "few"), Kind("360p", "many"), Kind("1080p", "few"), Kind("1080p", "many"))
#: When they are asked for.
LARGE = (Kind("12mp", "few"), Kind("12mp", "many"))
SIDES = ("A", "B")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of picture: medians of answers per second and CPU milliseconds per answer, ratios of neighbours B over
    A; latencies of all rounds together.
    """

    kind: str
    rates: tuple[float, float]
    rate_ratios: list[float]
    cpu_ms: tuple[float, float]
    cpu_ratios: list[float]
    p50_ms: tuple[float, float]
    p99_ms: tuple[float, float]


def settings_of(options: argparse.Namespace, words: str) -> Settings:
    """Raises msgspec.ValidationError for a setting that does not exist or cannot have the value."""
    folder = str(MATERIAL / "models") if (MATERIAL / "models").is_dir() else ""
    own = dict(pair.split("=", 1) for pair in words.split(",")) if words != "-" else {}
    if unknown := set(own) - set(Settings.__struct_fields__):
        raise SystemExit(f"no such setting: {', '.join(sorted(unknown))}")
    common = {
        "api_key_enabled": False, "rate_limit_enabled": False, "model": options.model, "model_dir": folder,
        "precision": "fp32", "data_dir": str(ROOT / "var"), "request_timeout": 60.0, "metrics_port": -1,
    }  # fmt: skip
    return msgspec.convert(common | own, Settings, strict=False)


@contextlib.contextmanager
def tree_of(revision: str, folder: Path) -> Iterator[Path]:
    """A checkout of that revision, gone afterwards; this one where there is none. It runs with this one's packages."""
    if not revision:
        yield ROOT
        return
    tree = folder / "before"
    _git("worktree", "add", "--detach", "--quiet", str(tree), revision)
    try:
        yield tree
    finally:
        _git("worktree", "remove", "--force", str(tree))


def with_own_store(settings: Settings, folder: Path) -> Settings:
    """The same with a new data folder, its models those of before: an older service refuses a newer one's key store."""
    folder.mkdir()
    (folder / "models").symlink_to(Path(settings.data_dir) / "models")
    return msgspec.structs.replace(settings, data_dir=str(folder))


def _git(*words: str) -> None:
    if subprocess.run(["git", "-C", ROOT, *words], check=False).returncode:
        raise SystemExit(f"git {' '.join(words)} failed, see above")


def measure(
    options: argparse.Namespace, both: tuple[Settings, Settings], trees: tuple[Path, Path], folder: Path
) -> list[tuple[Kind, Measured]]:
    """Every kind in turn on both, `rounds` times in each of `starts` lives of the services."""
    measured = []
    for start in range(options.starts):
        with contextlib.ExitStack() as stack:
            servers = [
                stack.enter_context(ours(one, folder / f"{side}.log", tree=tree))
                for side, one, tree in zip(SIDES, both, trees, strict=True)
            ]
            for kind in options.kinds:
                shot = Shot(
                    folder=folder / kind.name, faces=[], clients=options.clients, seconds=options.seconds,
                    rate=options.rate, target=f"/api/v1/{options.target}",
                )  # fmt: skip
                for number in range(options.rounds):
                    offered = msgspec.structs.replace(shot, seed=start * options.rounds + number)
                    for side, server in zip(SIDES, servers, strict=True):
                        one = msgspec.structs.replace(measure_server(server, offered), contestant=side)
                        tell(
                            f"  start {start + 1}/{options.starts}  {kind.name:<10} {side} {one.rate:7.1f}/s "
                            f"{one.cpu_ms:6.2f} ms  others {one.others:.2f}"
                        )
                        measured.append((kind, one))
    return measured


def row_of(kind: Kind, measured: list[tuple[Kind, Measured]]) -> Row:
    a, b = ([one for of, one in measured if of == kind and one.contestant == side] for side in SIDES)
    return Row(
        kind=kind.name,
        rates=(median([one.rate for one in a]), median([one.rate for one in b])),
        rate_ratios=[two.rate / one.rate for one, two in zip(a, b, strict=True)],
        cpu_ms=(median([one.cpu_ms for one in a]), median([one.cpu_ms for one in b])),
        cpu_ratios=[two.cpu_ms / one.cpu_ms for one, two in zip(a, b, strict=True)],
        p50_ms=(percentile(latencies_ms_of(a), 0.5), percentile(latencies_ms_of(b), 0.5)),
        p99_ms=(percentile(latencies_ms_of(a), 0.99), percentile(latencies_ms_of(b), 0.99)),
    )


def spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| pictures | answers/s A → B | ratio (spread) | CPU ms/answer A → B | ratio (spread) | p50 ms | p99 ms |"]
    lines.append("| --- |" + " --- |" * 6)
    for row in rows:
        rates = f"{row.rates[0]:.1f} → {row.rates[1]:.1f} | {spread(row.rate_ratios)}"
        cpu = f"{row.cpu_ms[0]:.2f} → {row.cpu_ms[1]:.2f} | {spread(row.cpu_ratios)}"
        late = " | ".join(f"{a:.1f} → {b:.1f}" for a, b in (row.p50_ms, row.p99_ms))
        lines.append(f"| {row.kind} | {rates} | {cpu} | {late} |")
    return "\n".join(lines)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.side_by_side",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", nargs="?", default="-", help="settings of A, or -")
    parser.add_argument("b", nargs="?", default="-", help="settings of B, or -")
    parser.add_argument("--before", default="", metavar="REVISION", help="A is the service of this revision of git")
    parser.add_argument("--model", default="auto", help="as FACE_API_MODEL")
    names = {kind.name: kind for kind in (*KINDS, *LARGE)}
    parser.add_argument("--kinds", nargs="+", type=names.__getitem__, default=list(KINDS), metavar="KIND",
                        help=f"of {', '.join(names)}")  # fmt: skip
    parser.add_argument("--target", choices=("detect", "mask"), default="detect")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second at times fixed beforehand, in place "
                        "of clients that wait for their answers")  # fmt: skip
    parser.add_argument("--starts", type=int, default=3, help="of both services")
    parser.add_argument("--rounds", type=int, default=3, help="in each of them")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    both = settings_of(options, options.a), settings_of(options, options.b)
    for one in both:
        ensure(one, tell)
    with tempfile.TemporaryDirectory(prefix="face-api-side-by-side-") as name:
        folder = Path(name)
        for kind in options.kinds:
            pictures.make(kind, folder / kind.name, MATERIAL / "photos" if (MATERIAL / "photos").is_dir() else None)
        with tree_of(options.before, folder) as before:
            stores = with_own_store(both[0], folder / "A"), with_own_store(both[1], folder / "B")
            measured = measure(options, stores, (before, ROOT), folder)
    rows = [row_of(kind, measured) for kind in options.kinds]
    print(msgspec.json.encode(rows).decode() if options.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
