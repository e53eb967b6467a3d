"""What was done already: a line of JSON for each picture, written when its answer is safe. Resuming reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from client.folder.plan import Source

Line = dict[str, Any]


class Ledger:
    """A file of lines, opened for adding. A last line cut off by a crash is dropped, its picture done again."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("a+b")
        self._lines = _whole_lines(self._file)

    def line(self, source: Source, asked: Mapping[str, str]) -> Line | None:
        """The last line of this very file, asked in the same words; None when there is none."""
        line = self._lines.get(source.name)
        return line if line is not None and identity(source, asked).items() <= line.items() else None

    def add(self, line: Line) -> None:
        """Written through to the file."""
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._lines[line["source"]] = line

    def close(self) -> None:
        self._file.close()


def identity(source: Source, asked: Mapping[str, str]) -> Line:
    """What a line begins with: which file, which version of it, and what was asked."""
    return {"source": source.name, "size": source.size, "changed": source.changed, "asked": dict(asked)}


def _whole_lines(file: BinaryIO) -> dict[str, Line]:
    """Each picture's last line; the file is cut after the last whole one."""
    file.seek(0)
    lines: dict[str, Line] = {}
    end = 0
    for raw in file:
        try:
            line = json.loads(raw)
            lines[line["source"]] = line
        except (ValueError, KeyError, TypeError):
            break
        if not raw.endswith(b"\n"):
            break
        end += len(raw)
    file.truncate(end)
    return lines
