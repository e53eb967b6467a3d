"""Where inputs are kept: a folder per target, findings beside them, all outside of git. Resumes where it ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.target import Target


@dataclass(frozen=True, slots=True)
class Corpus:
    """folder/NAME: inputs that reached something new. folder/findings: inputs that broke a promise, or ended a process."""

    folder: Path

    @property
    def findings(self) -> Path:
        return self.folder / "findings"

    def inputs(self, target: Target) -> Path:
        return self.folder / target.name

    def prepare(self, target: Target) -> None:
        """Folders, seeds and the dictionary."""
        self.findings.mkdir(parents=True, exist_ok=True)
        self.inputs(target).mkdir(exist_ok=True)
        for seed in target.seeds():
            self._keep(target, seed)
        self.dictionary(target).write_text("".join(f'"{_escaped(word)}"\n' for word in target.words), encoding="ascii")

    def dictionary(self, target: Target) -> Path:
        return self.folder / f"{target.name}.words"

    def found(self, target: Target) -> list[Path]:
        """Inputs that broke a promise, or ended the process."""
        return sorted(path for path in self.findings.glob(f"{target.name}-*") if path.suffix != ".txt")

    def settle(self, target: Target, is_kept: Callable[[Path], bool]) -> None:
        """What was found and keeps the promise now becomes an input like any other: mended, or the machine was busy."""
        for path in self.found(target):
            if is_kept(path):
                self._keep(target, path.read_bytes())
                path.unlink()
                path.with_suffix(".txt").unlink(missing_ok=True)

    def _keep(self, target: Target, data: bytes) -> None:
        (self.inputs(target) / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)


def _escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries write bytes."""
    return "".join(chr(byte) if byte < 128 and chr(byte).isalnum() else f"\\x{byte:02x}" for byte in word)
