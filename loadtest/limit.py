"""`python -m loadtest.limit`: what the cores can do with no server at all: N processes, each the bare call sequence.

Commands come on standard input, one answer as a line of JSON on standard output each: `files FOLDER`,
`run SECONDS FORM`. The form is the service's own, which decodes no more of a file and shows the network no more of the
square than it must, or the whole.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.pictures.child_libraries import ALLOCATOR
from loadtest.bare import Bare, open_bare
from shared.environment import inherited_environment
from shared.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
#: What is decoded and shown to the network: as much as by the service, or the whole.
TRIMMED, WHOLE = "trimmed", "whole"


class Run(msgspec.Struct, frozen=True):
    """One process's part: answers made in `seconds` of wall time and `cpu_s` of processor time."""

    answers: int
    seconds: float
    cpu_s: float
    latencies_ms: list[float]


def run_for(bare: Bare, files: list[bytes], seconds: float, first: int) -> Run:
    """Answers files in turn, starting with number `first`, until the time is over."""
    latencies: list[float] = []
    cpu = time.process_time()
    begin = now = time.perf_counter()
    for number in itertools.count(first):
        if now - begin >= seconds:
            break
        bare.answer(files[number % len(files)])
        done = time.perf_counter()
        latencies.append((done - now) * 1000)
        now = done
    return Run(len(latencies), now - begin, time.process_time() - cpu, latencies)


def main(arguments: list[str]) -> int:
    """Obeys standard input until it ends."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.limit", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a prepared model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--number", type=int, default=0, help="of this process among its like")
    options = parser.parse_args(arguments)
    forms = {form: open_bare(options.model, options.threads, trimmed=form == TRIMMED) for form in (TRIMMED, WHOLE)}
    files: list[bytes] = []
    print("ready", flush=True)
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "files":
            files = [path.read_bytes() for path in sorted(Path(rest).glob("*.jpg"))]
            counts = {form: [bare.answer(data)[1] for data in files] for form, bare in forms.items()}
            print(msgspec.json.encode(counts).decode(), flush=True)
        elif command == "run":
            seconds, form = rest.split()
            print(msgspec.json.encode(run_for(forms[form], files, float(seconds), options.number)).decode(), flush=True)
    return 0


@dataclass(slots=True)
class LimitProcess:
    """One process of the limit, seen from the bench."""

    process: subprocess.Popen[str]

    @staticmethod
    def start(model: Path, threads: int, number: int) -> LimitProcess:
        arguments = [f"--model={model}", f"--threads={threads}", f"--number={number}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.limit", *arguments],
            cwd=ROOT, env=inherited_environment(Settings()) | ALLOCATOR,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        limit = LimitProcess(process)
        assert limit.hear().strip() == "ready"
        return limit

    def say(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "a process of the limit ended"
        return line

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Limit:
    """All processes of the limit; idle between runs."""

    def __init__(self, model: Path, processes: int, threads: int) -> None:
        self._processes = [LimitProcess.start(model, threads, number) for number in range(processes)]

    def load(self, folder: Path) -> dict[str, list[int]]:
        """Makes the files of a folder the ones to answer; returns how many faces each has, by form."""
        for process in self._processes:
            process.say(f"files {folder}")
        counts: list[dict[str, list[int]]] = [msgspec.json.decode(process.hear()) for process in self._processes]
        assert all(count == counts[0] for count in counts)
        return counts[0]

    def run(self, seconds: float, processes: int = 0, form: str = TRIMMED) -> list[Run]:
        """One Run per process; `processes` of them at once, 0 for all."""
        chosen = self._processes[: processes or None]
        for process in chosen:
            process.say(f"run {seconds} {form}")
        return [msgspec.json.decode(process.hear(), type=Run) for process in chosen]

    def close(self) -> None:
        for process in self._processes:
            process.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
