"""`python -m loadtest.plan record|check|size`: from measured stage times to hosts, cores, cards, network and money.

`record` measures one host, then two behind a balancer; `check` has the model say what was measured; `size` plans with
what passed, and refuses otherwise.

    exit codes   0 done · 1 the model is not good enough for these hosts, or the wish cannot be had · 2 wrong options
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from loadtest.planning import recorder, sizing
from loadtest.planning.check import gaps, lacking
from loadtest.planning.model import Shape
from loadtest.planning.recording import Recording
from loadtest.planning.sizing import Plan, Wish
from loadtest.servers import DETECT


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if options.command == "record":
        return _record(options)
    recordings = [msgspec.json.decode(file.read_bytes(), type=Recording) for file in options.recordings]
    if lacks := lacking(recordings):
        print(lacks, file=sys.stderr)
        return 2
    if options.command == "check":
        return 0 if _checked(recordings) else 1
    return _size(recordings, options)


def _record(options: argparse.Namespace) -> int:
    names = msgspec.structs.fields(Shape)
    shape = Shape(**{one.name: getattr(options, one.name) for one in names})
    asked = recorder.Asked(
        host=options.host, port=options.port, metrics=options.metrics, folder=options.folder,
        target=options.target, headers=options.header,
    )  # fmt: skip
    found = recorder.record(asked, options.hosts, shape, options.seconds, options.clients)
    runs = [(int(size), float(ms)) for size, _, ms in (text.partition(":") for text in options.run)]
    _write(options.out, msgspec.structs.replace(found, runs=runs))
    print(f"{options.out}: {found.capacity:.1f} answers/s with {options.clients} clients, {options.hosts} host(s)")
    return 0


def _checked(recordings: Sequence[Recording]) -> bool:
    """Says every gap; whether all are small enough."""
    found = list(gaps(recordings))
    print(*(gap.told() for gap in found), sep="\n")
    return all(gap.is_small for gap in found)


def _size(recordings: Sequence[Recording], options: argparse.Namespace) -> int:
    if not _checked(recordings):
        print("no plan: the model is further from these hosts than it may be", file=sys.stderr)
        return 1
    one = next(recording for recording in recordings if recording.hosts == 1)
    wish = Wish(**{field.name: getattr(options, field.name) for field in msgspec.structs.fields(Wish)})
    try:
        plan = sizing.planned(one, wish, options.requests)
    except ValueError as error:
        print(f"no plan: {error}", file=sys.stderr)
        return 1
    print(*told(plan), sep="\n")
    if options.json:
        _write(options.json, plan)
    if options.plot:
        from loadtest.plots import draw_plan  # not everybody has matplotlib

        draw_plan(recordings, sizing.curve(one), plan, options.plot)
    return 0


def told(plan: Plan) -> list[str]:
    wish = plan.wish
    lines = [
        f"{plan.hosts} hosts, {wish.spare} of them spare",
        f"  each answers {plan.per_host:.4g}/s, {plan.of_capacity:.0%} of what it can",
        f"  p99 {plan.p99_s:.3g} s of {wish.p99_s:g} s wanted, {plan.busy:.0%} of its cores busy",
        f"{plan.cores} cores, {plan.cards} cards",
        f"{plan.gbit_in:.3g} Gbit/s in, {plan.gbit_out:.3g} Gbit/s out",
    ]
    return lines + ([f"{plan.price_per_hour:.2f} an hour"] if plan.price_per_hour else [])


def _write(path: Path, what: msgspec.Struct) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(what)) + b"\n")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.plan", description="Plans hosts from measured ones.")
    commands = parser.add_subparsers(dest="command", required=True)
    _recording_options(commands.add_parser("record", help="measure hosts that run"))
    check = commands.add_parser("check", help="the model beside what was measured")
    size = commands.add_parser("size", help="hosts, cores, cards, network and money for a wish")
    for command in (check, size):
        command.add_argument("recordings", type=Path, nargs=2, help="of one host and of two")
    size.add_argument("--rate", type=float, required=True, help="requests/s")
    size.add_argument("--p99", dest="p99_s", type=float, required=True, help="seconds")
    size.add_argument("--spare", type=int, default=1, help="hosts that may be away")
    size.add_argument("--host-price", type=float, default=0.0, help="an hour of a host")
    size.add_argument("--card-price", type=float, default=0.0, help="an hour of a card")
    size.add_argument("--requests", type=int, default=sizing.REQUESTS, help="simulated at each step")
    size.add_argument("--json", type=Path)
    size.add_argument("--plot", type=Path, help="a PNG (wants matplotlib)")
    return parser.parse_args(arguments)


def _recording_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="of the host, or of the balancer before two")
    parser.add_argument("--metrics", action="append", required=True, help="URL of /metrics, once for each host")
    parser.add_argument("--folder", type=Path, required=True, help="*.jpg, sent in turn")
    parser.add_argument("--target", default=DETECT)
    parser.add_argument("--header", action="append", default=[], help="as `X-API-Key: …`")
    parser.add_argument("--hosts", type=int, choices=(1, 2), default=1)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of four loads")
    for name in ("cores", "decoders", "workers"):
        parser.add_argument(f"--{name}", type=int, required=True, help="of one host")
    parser.add_argument("--gateways", type=int, default=1)
    parser.add_argument("--max-batch", type=int, default=1)
    parser.add_argument("--batch-delay", dest="batch_delay_s", type=float, default=0.0, help="seconds")
    parser.add_argument("--max-queue", type=int, default=256)
    parser.add_argument("--card", action="store_true", help="workers run beside the cores")
    parser.add_argument("--run", action="append", default=[], metavar="SIZE:MS", help="of a card, by `make bench-gpu`")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
