"""What a worker writes to its standard error, passed on by the pool as log lines, whoever wrote it.

A worker's own log lines go through as they are; anything else (a C library's complaint, a traceback) becomes a line
of the pool's log that names the worker.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from shared.logs import Log, words_of

#: Most bytes of a line that are kept: a log line with a long traceback in it must fit.
LINE_MAX = 64 * 1024
#: Most characters of somebody else's line, and of the last words, in a line of the pool's.
FOREIGN_MAX = 2000
LAST_WORDS_MAX = 300
_READ_SIZE = 64 * 1024
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


async def relay(
    process: asyncio.subprocess.Process,
    generation: str,
    log: Log,
    log_format: Literal["auto", "json", "text"],
    out: BinaryIO | None = None,
) -> str:
    """Passes on what a worker says until it ends; its last words, which often hold the reason.

    log_format: the worker's. out: where its own log lines go; by default this process's standard error.
    """
    assert process.stderr is not None
    lines, last_words = Lines(), ""
    while data := await process.stderr.read(_READ_SIZE):
        for line in lines.fed(data):
            last_words = _passed_on(line, generation, log, log_format, out) or last_words
    for line in lines.rest():
        last_words = _passed_on(line, generation, log, log_format, out) or last_words
    return last_words


def _passed_on(line: bytes, generation: str, log: Log, log_format: str, out: BinaryIO | None) -> str:
    """The words of one line, bounded; "" for an empty one, which is dropped."""
    words = words_of(line, "worker", as_text=log_format == "text")
    if words is not None:
        stream = out or sys.stderr.buffer
        stream.write(line + b"\n")
        stream.flush()
        return words[:LAST_WORDS_MAX]
    foreign = readable(line)
    if foreign.strip():
        log.warning("a worker wrote", worker=generation, line=_bounded(foreign, FOREIGN_MAX))
    return foreign.strip()[:LAST_WORDS_MAX]


@dataclass(slots=True)
class Lines:
    """Cuts a stream of bytes into lines, each of at most LINE_MAX bytes: of a longer one the rest is dropped."""

    _begun: bytearray = field(default_factory=bytearray)

    def fed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are whole now, without their ends."""
        *ends, begin = data.split(b"\n")
        for end in ends:
            self._add(end)
            yield bytes(self._begun)
            self._begun.clear()
        self._add(begin)

    def rest(self) -> Iterator[bytes]:
        """At the end of the stream: what has no line end."""
        if self._begun:
            yield bytes(self._begun)
            self._begun.clear()

    def _add(self, data: bytes) -> None:
        self._begun += data[: LINE_MAX - len(self._begun)]


def readable(line: bytes) -> str:
    """As text, without colours, and without characters that would steer a terminal."""
    text = _COLOURS.sub("", line.decode(errors="replace")).rstrip()
    return "".join(character if character.isprintable() else " " for character in text)


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
