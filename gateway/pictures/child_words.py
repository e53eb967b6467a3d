"""What a picture child writes to standard error, passed on as bounded lines of the log: a stranger may speak in it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import IO

#: A crash tells of itself in a few KiB, a mistake of ours in less; a child that writes more is none of ours any more.
BYTES_MAX = 64 * 1024
#: Most characters of one line that are passed on.
_LINE_MAX = 500


class ChildWords:
    """Reads the pipe on the event loop. when_too_many: called once; then nothing more is read."""

    def __init__(self, pipe: IO[bytes], name: str, log: logging.Logger, when_too_many: Callable[[], None]) -> None:
        self._pipe, self._name, self._log, self._when_too_many = pipe, name, log, when_too_many
        self._begun = b""
        self._bytes = 0
        os.set_blocking(pipe.fileno(), False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pipe.fileno(), self.read)

    def read(self) -> None:
        """Passes on what there is."""
        if self._bytes > BYTES_MAX:
            return
        try:
            data = os.read(self._pipe.fileno(), BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._bytes += len(data)
        if not data or self._bytes > BYTES_MAX:
            self._loop.remove_reader(self._pipe.fileno())
        if self._bytes > BYTES_MAX:
            self._when_too_many()
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._tell(line)

    def close(self) -> None:
        """What it wrote last is passed on, too."""
        if self._pipe.closed:
            return
        self.read()
        self._loop.remove_reader(self._pipe.fileno())
        self._pipe.close()
        self._tell(self._begun)

    def _tell(self, line: bytes) -> None:
        text = "".join(sign if sign.isprintable() else " " for sign in line[:_LINE_MAX].decode(errors="replace"))
        if text.strip():
            self._log.warning("%s wrote: %s", self._name, text)
