"""`make loadtest`: starts the service and runs the locust scenarios against it, one HTML report each."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

from loadtest import pictures
from loadtest.bench import MATERIAL, settings_of
from loadtest.bench import parser as bench_parser
from loadtest.pictures import Kind
from loadtest.servers import ROOT, ours

SCENARIOS = ("steady", "ramp", "spike", "soak")
ASKS = ("detect", "mask", "mixed")


def main(arguments: list[str]) -> int:
    """0 when no request failed in any scenario."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="face-api-locust-")))
        photos = MATERIAL / "photos"
        pictures.make(Kind("1080p", "few"), folder / "pictures", photos if photos.is_dir() else None)
        address = options.host
        if not address:
            server = stack.enter_context(ours(settings_of(bench_parser().parse_args([])), folder / "face-api.log"))
            address = f"http://127.0.0.1:{server.port}"
        codes = [
            _run(scenario, ask, address, folder / "pictures", options)
            for scenario, ask in itertools.product(options.scenarios, options.asks)
        ]
    return int(any(codes))


def _run(scenario: str, ask: str, address: str, folder: Path, options: argparse.Namespace) -> int:
    length = options.seconds * (options.soak if scenario == "soak" else 1)
    report = options.out / f"locust-{scenario}-{ask}.html"
    print(f"{scenario}, {ask}: {length:g} s, report in {report}", file=sys.stderr, flush=True)
    return subprocess.run(
        [
            sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "--only-summary",
            f"--host={address}", f"--scenario={scenario}", f"--ask={ask}", f"--folder={folder}",
            f"--most={options.users}", f"--length={length}", f"--html={report}", f"--key={options.key}",
        ],
        cwd=ROOT, check=False,
    ).returncode  # fmt: skip


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.scenarios", description=__doc__)
    parser.add_argument("--host", default="", help="URL of a running service; empty starts one")
    parser.add_argument("--key", default="", help="API key for --host")
    parser.add_argument("--scenarios", nargs="*", default=list(SCENARIOS), choices=SCENARIOS)
    parser.add_argument("--asks", nargs="*", default=list(ASKS), choices=ASKS)
    parser.add_argument("--users", type=int, default=16, help="at the height of a scenario")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each scenario")
    parser.add_argument("--soak", type=float, default=3.0, help="how many times longer a soak is")
    parser.add_argument("--out", type=Path, default=Path("var/bench"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
