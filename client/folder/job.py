"""One picture: asked, and its answer kept. What becomes of it is a line (`ledger.py`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from client.calls import AsyncClient
from client.errors import AnsweredError, KeyRefused, Refused, Unreachable
from client.folder.files import write_whole
from client.folder.ledger import Ledger, Line, identity
from client.folder.plan import Source, format_of

#: done; refused: the service will not, however often it is asked; failed: not now, the next run tries again.
Status = Literal["done", "refused", "failed"]


class Stopped(Exception):
    """The run is, by a reason that every other picture would share. Its text says which."""


@dataclass(frozen=True)
class Job:
    """What is done to every picture.

    endpoint: detect or mask. parameters: sent with each. wanted: format of masked pictures. output: their folder.
    targets: name → name in it. ledger: of what is done, None when nothing is kept. again: refused ones, too.
    """

    endpoint: Literal["detect", "mask"]
    parameters: Mapping[str, str]
    wanted: str = ""
    output: Path | None = None
    targets: Mapping[str, str] = field(default_factory=dict)
    ledger: Ledger | None = None
    again: bool = False

    def asked(self, source: Source) -> dict[str, str]:
        """The words that a picture is asked in; a line of the ledger holds for these words only."""
        parameters = dict(self.parameters)
        if self.endpoint == "mask":
            parameters["format"] = format_of(source.name, self.wanted)
        return parameters

    def known(self, source: Source) -> Line | None:
        """Its line, when nothing is to be done any more."""
        line = self.ledger.line(source, self.asked(source)) if self.ledger else None
        if line is None or (line["status"] == "refused" and self.again):
            return None
        return line if line["status"] == "refused" or self._kept(source, line) else None

    def _kept(self, source: Source, line: Line) -> bool:
        if self.output is None:
            return True
        path = self.output / self.targets[source.name]
        return path.is_file() and path.stat().st_size == line["bytes"]

    async def do(self, client: AsyncClient, source: Source) -> Line:
        """Its line, kept in the ledger unless it failed. Raises Stopped."""
        line: Line = identity(source, self.asked(source))
        try:
            line |= await self._answer(client, source)
        except (KeyRefused, Unreachable) as error:
            raise Stopped(str(error)) from error
        except Refused as error:
            line |= _told("refused", error)
        except AnsweredError as error:
            return line | _told("failed", error)
        except OSError as error:
            return line | {"status": "failed", "detail": f"cannot be read: {error.strerror}"}
        if self.ledger is not None:
            with _or_stop():
                self.ledger.add(line)
        return line

    async def _answer(self, client: AsyncClient, source: Source) -> Line:
        asked = self.asked(source)
        if self.endpoint == "detect":
            found = await client.detect(source.path, **asked)
            return {"status": "done", "faces": len(found.faces), "answer": found.raw}
        masked = await client.mask(source.path, **asked)
        assert self.output is not None, "masked pictures have a folder"
        target = self.targets[source.name]
        with _or_stop():
            write_whole(self.output / target, masked.data)
        return {"status": "done", "faces": masked.faces, "output": target, "bytes": len(masked.data)}


def _told(status: Status, error: AnsweredError) -> Line:
    return {"status": status, "http": error.status, "detail": error.detail, "request_id": error.request_id}


@contextlib.contextmanager
def _or_stop() -> Iterator[None]:
    """A disk that takes no more takes no other picture either. Raises Stopped."""
    try:
        yield
    except OSError as error:
        raise Stopped(f"{error.filename or 'the output'} cannot be written: {error.strerror}") from error
