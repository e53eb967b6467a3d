"""`python -m loadtest.memory`: what the processes of the service hold over many mixed requests.

Detect and mask of small and large pictures in turn, until so many are answered. The table says what each kind of
process takes at the start, after a quarter and at the end: proportional sets, shared pages divided among their users.
Exit code 1 when the end is over the quarter by a tenth.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections import defaultdict
from itertools import cycle
from pathlib import Path

import msgspec

from loadtest import pictures
from loadtest.bench import MATERIAL, settings_of, tell
from loadtest.bench import parser as bench_parser
from loadtest.cpu_time import tree_memory_bytes
from loadtest.measure import Shot, measure_server
from loadtest.pictures import Kind
from loadtest.servers import DETECT, ours

#: What is sent in turn.
TURNS = [
    (Kind(size, faces), target)
    for target in (DETECT, "/api/v1/mask")
    for size, faces in (("360p", "many"), ("1080p", "few"), ("360p", "few"), ("1080p", "many"))
]
#: Kinds of process by a word of their command lines.
PARTS = {"picture_child": "picture child", "gunicorn": "gateway", "worker.pool": "pool", "-m worker": "worker"}
GROWTH_MAX = 1.1


class Sample(msgspec.Struct, frozen=True):
    """Mebibytes of the largest process of each kind after so many answers."""

    answers: int
    mib: dict[str, float]


def memory_mib(root: int) -> dict[str, float]:
    """The largest proportional set of each kind of process, in MiB."""
    most: dict[str, float] = defaultdict(float)
    for pid, size in tree_memory_bytes(root).items():
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            part = next((name for word, name in PARTS.items() if word in command), "launcher")
            most[part] = max(most[part], round(size / 2**20, 1))
    return dict(most)


def table(samples: list[Sample]) -> str:
    """Markdown: one row per kind of process."""
    start, quarter, end = samples[0], quarter_of(samples), samples[-1]
    lines = [
        f"| process | idle | after {quarter.answers:,} | after {end.answers:,} |",
        "| --- | --- | --- | --- |",
        *(
            f"| {part} | {start.mib.get(part, 0):.0f} MiB | {quarter.mib.get(part, 0):.0f} MiB | {mib:.0f} MiB |"
            for part, mib in sorted(end.mib.items())
        ),
    ]
    return "\n".join(lines)


def quarter_of(samples: list[Sample]) -> Sample:
    """The first sample after a quarter of all answers: by then every kind of picture was seen."""
    return next(sample for sample in samples if sample.answers >= samples[-1].answers / 4)


def grown(samples: list[Sample]) -> list[str]:
    """Kinds of process that ended more than a tenth over the quarter."""
    quarter = quarter_of(samples).mib
    return [part for part, mib in samples[-1].mib.items() if mib > GROWTH_MAX * quarter.get(part, mib)]


def main(arguments: list[str]) -> int:
    made = bench_parser()
    made.prog, made.description = "python -m loadtest.memory", __doc__
    made.add_argument("--requests", type=int, default=20_000)
    made.add_argument("--json", action="store_true")
    options = made.parse_args(arguments)
    photos = MATERIAL / "photos"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="face-api-memory-")))
        for kind, _ in TURNS:
            pictures.make(kind, folder / kind.name, photos if photos.is_dir() else None)
        server = stack.enter_context(ours(settings_of(options), folder / "face-api.log"))
        samples = [Sample(0, memory_mib(server.pid))]
        for kind, target in cycle(TURNS):
            shot = Shot(folder=folder / kind.name, faces=[], clients=16, seconds=options.seconds, warm=0, target=target)
            measured = measure_server(server, shot)
            samples.append(Sample(samples[-1].answers + measured.answers, memory_mib(server.pid)))
            tell(f"{samples[-1].answers:7,} answers  {samples[-1].mib}")
            if samples[-1].answers >= options.requests:
                break
    print(msgspec.json.encode(samples).decode() if options.json else table(samples))
    for part in grown(samples):
        tell(f"the {part} grew by more than a tenth after the first quarter")
    return int(bool(grown(samples)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
