"""`python -m tests.fuzz.one TARGET FOLDER [libFuzzer options]`: one target in one process, as `tests.fuzz` starts it.

A broken promise does not end the run: the shortest input of each kind is kept in FOLDER/findings, with its
traceback, and fuzzing goes on. What ends the process (a crash, a time-out, too much memory) libFuzzer keeps.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway", "shared", "python_multipart"]):
    from tests.fuzz.corpus import Corpus
    from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]


class Findings:
    """The shortest input of every kind of broken promise, as files."""

    def __init__(self, corpus: Corpus, target: str) -> None:
        self._folder, self._target = corpus.findings, target

    def note(self, data: bytes, error: Exception) -> None:
        path = self._folder / f"{self._target}-{hashlib.sha256(_kind(error).encode()).hexdigest()[:12]}"
        if path.exists() and path.stat().st_size <= len(data):
            return
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")


def _kind(error: Exception) -> str:
    """The same for all inputs that break the same promise in the same place."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(str(ROOT))]
    where = (ours or frames)[-1]
    return f"{type(error).__name__} in {where.filename}:{where.name}: {where.line}"


def main(name: str, folder: str, options: list[str]) -> None:
    """Does not return: libFuzzer ends the process."""
    logging.disable()
    target, findings = TARGETS[name], Findings(Corpus(Path(folder)), name)

    def once(data: bytes) -> None:
        try:
            target.check(data)
        except Exception as error:
            findings.note(data, error)

    atheris.Setup([name, *options], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
