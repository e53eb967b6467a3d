"""How `python -m models` talks: tables and a progress bar for people, lines for logs, JSON for scripts."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec

_BAR_WIDTH = 30
#: Seconds between two looks of the bar, and between two lines where there is no terminal.
_BAR_EVERY_S, _LINE_EVERY_S = 0.1, 5.0


class Talk:
    """Where words and progress go. With `json` only objects are printed, one per line, on stdout."""

    def __init__(self, *, json: bool, err: TextIO | None = None) -> None:
        self.json = json
        self._err = err or sys.stderr
        self._bar = not json and self._err.isatty()
        self._shown_at = 0.0

    def say(self, line: str) -> None:
        """A line of what is going on."""
        if self.json:
            self.give({"event": "message", "text": line})
        else:
            self._clear()
            print(line, file=self._err, flush=True)

    def give(self, answer: Any) -> None:
        """One JSON object of the answer."""
        print(msgspec.json.encode(answer).decode(), flush=True)

    def show(self, text: str) -> None:
        """The answer for people."""
        self._clear()
        print(text, flush=True)

    def arrived(self, done: int, total: int) -> None:
        """Progress of a download in bytes; total 0 where it is not known."""
        now = time.monotonic()
        every = _BAR_EVERY_S if self._bar else _LINE_EVERY_S
        if now - self._shown_at < every and done != total:
            return
        self._shown_at = now
        if self.json:
            self.give({"event": "progress", "bytes": done, "total": total or None})
        elif self._bar:
            print("\r" + progress_bar(done, total), end="", file=self._err, flush=True)
        else:
            print(f"  {mebibytes(done)} of {mebibytes(total) if total else '?'}", file=self._err, flush=True)

    def _clear(self) -> None:
        if self._bar and self._shown_at:
            print(f"\r{'':{_BAR_WIDTH + 40}}\r", end="", file=self._err, flush=True)
            self._shown_at = 0.0


def progress_bar(done: int, total: int) -> str:
    """One line such as `[######------] 12.3 of 16.1 MiB`."""
    share = min(1.0, done / total) if total else 0.0
    filled = int(share * _BAR_WIDTH)
    whole = mebibytes(total) if total else "?"
    return f"[{'#' * filled}{'-' * (_BAR_WIDTH - filled)}] {mebibytes(done)} of {whole}"


def mebibytes(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / (1 << 20):.1f} MiB"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, the head underlined."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
