"""Offered five times what the service can do: how much of its capacity it keeps, and how soon it has it back.

The shipped network, JPEG photographs of about 100 KB, the load generator of the bench on the same cores. Compared are
answers a second for each core that others left; the less they left, the less the figures are worth.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from loadtest.cpu_time import MachineTime, cpu_seconds, tree_cpu_seconds, tree_memory_bytes
from loadtest.measure import percentile
from loadtest.pictures import Kind, make
from shared.processes import usable_cores
from tests.service import PHOTOS, ROOT, Service, running_service

TIMES = 5
#: What a request may take in the overload; clients say so in a header.
TIMEOUT_S = 5.0
#: Beyond the deadline an answer needs a moment to be written, and the generator to see it.
LATE_S = 0.5
FILE_BYTES = 100_000
CLIENTS = 8
MEMORY_GROWTH_MAX = 1.2


@dataclass(frozen=True)
class Load:
    """What a run of the generator saw; rates per second, waits in seconds, cores as fractions of one."""

    rate: float
    statuses: dict[str, int]
    wrong: int
    unfinished: int
    waits_s: list[float]
    service_cores: float
    generator_cores: float
    others: float

    @property
    def speed(self) -> float:
        """Answers a second for each core that nobody else used: what a noisy machine leaves comparable."""
        return self.rate / max(0.1, usable_cores() - self.others)

    def __str__(self) -> str:
        cores = (
            f"service {self.service_cores:.2f}, generator {self.generator_cores:.2f}, others {self.others:.2f} cores"
        )
        return f"{self.rate:.1f}/s answered, statuses {self.statuses}, {cores}"

    @property
    def clean(self) -> bool:
        return set(self.statuses) <= {"200", "503"} and not self.wrong and not self.unfinished


@dataclass
class Memory:
    """Proportional bytes of all the service's processes, looked at every second."""

    service: Service
    seen: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            while not over.wait(1.0):
                self.seen.append(self.now())

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()

    def now(self) -> int:
        return sum(tree_memory_bytes(self.service.process.pid).values())


def overload(seconds: float) -> tuple[list[str], bool]:
    """Capacity, five times that, and capacity again from one second after the end of it."""
    with tempfile.TemporaryDirectory(prefix="fa-") as text:
        folder = Path(text)
        photographs(folder / "pictures")
        wanted = {"model": ROOT / "models/open/scrfd_500m_open.onnx", "precision": "fp32", "log_level": "warning"}
        with running_service(folder, runtime_dir=folder / "run", **wanted) as service:
            return _phases(service, folder / "pictures", seconds)


def _phases(service: Service, folder: Path, seconds: float) -> tuple[list[str], bool]:
    memory, quiet = Memory(service), ["--clients", str(CLIENTS), "--seconds", str(seconds / 3)]
    capacity = run(service, folder, *quiet, "--warm", "4")
    before = memory.now()
    header = f"X-Request-Timeout-Ms: {TIMEOUT_S * 1000:.0f}"
    with memory.watched():
        rate = ["--rate", str(TIMES * capacity.rate), "--seconds", str(seconds), "--arrivals", "even"]
        storm = run(service, folder, *rate, "--warm", "1", "--header", header)
    # What the generator leaves behind are its closed connections; it has waited for every answer.
    after = run(service, folder, *quiet, "--warm", "1")
    late = sum(wait > TIMEOUT_S + LATE_S for wait in storm.waits_s)
    grown = max(memory.seen) / before
    kept, again = storm.speed / capacity.speed, after.speed / capacity.speed
    waits = f"p50 {percentile(storm.waits_s, 0.5):.2f} s, p95 {percentile(storm.waits_s, 0.95):.2f} s"
    lines = [
        f"capacity with {CLIENTS} clients: {capacity}",
        f"offered {TIMES * capacity.rate:.0f}/s for {seconds:.0f} s: {kept:.2f} of capacity per free core; {storm}",
        f"accepted answers: {waits} of {TIMEOUT_S:.0f} s allowed, {late} late; memory at most ×{grown:.2f} of {before >> 20} MiB",
        f"from one second after: {again:.2f} of capacity per free core; {after}",
    ]
    clean = capacity.clean and storm.clean and set(after.statuses) == {"200"} and not late
    return lines, clean and kept >= 0.8 and again >= 0.9 and grown < MEMORY_GROWTH_MAX


def photographs(folder: Path) -> None:
    """JPEG files of FILE_BYTES each: 640×360 with three faces, made as long as larger photographs by a comment."""
    for path in make(Kind("360p", "few"), folder, PHOTOS if PHOTOS.is_dir() else None):
        file = path.read_bytes()
        missing = max(0, FILE_BYTES - len(file) - 4)
        comments = b"".join(
            b"\xff\xfe" + (length + 2).to_bytes(2, "big") + bytes(length)
            for length in [65_000] * (missing // 65_000) + [missing % 65_000]
        )
        path.write_bytes(file[:2] + comments + file[2:])
        assert cv2.imread(str(path)) is not None


def run(service: Service, folder: Path, *arguments: str) -> Load:
    """One run of `loadtest.client`."""
    port = service.url.rsplit(":", 1)[1]
    generator = subprocess.Popen(
        [sys.executable, "-S", "-m", "loadtest.client", "--port", port, "--folder", str(folder), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    pids = (service.process.pid, generator.pid)
    with generator:
        assert generator.stdout is not None
        assert generator.stdout.readline() == "begin\n"
        machine, ours, generators = MachineTime.now(), tree_cpu_seconds(pids[0]), cpu_seconds(pids[1])
        assert generator.stdout.readline() == "end\n"
        busy = MachineTime.now().busy - machine.busy
        ours, generators = tree_cpu_seconds(pids[0]) - ours, cpu_seconds(pids[1]) - generators
        seen = json.loads(generator.stdout.read())
    spent = seen["seconds"]
    return Load(
        rate=seen["answers"] / spent,
        statuses=seen["statuses"],
        wrong=seen["wrong"],
        unfinished=seen["unfinished"],
        waits_s=[wait / 1000 for wait in seen["latencies_ms"]],
        service_cores=ours / spent,
        generator_cores=generators / spent,
        others=max(0.0, (busy - ours - generators) / spent),
    )
