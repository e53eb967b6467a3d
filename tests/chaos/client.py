"""A small HTTP/1.1 client for load: one keep-alive connection, raw bytes, no retries of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any


class Lost(Exception):
    """The connection ended before the answer did."""


class NotReached(Exception):
    """Nobody accepted the connection: the request was never sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Opens its connection when it is needed, and again when the server closed it. source: its own address."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._port, self._source = port, source
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def detect(self, body: bytes, query: str = "", headers: str = "") -> Answer:
        head = f"POST /api/v1/detect{query} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n{headers}"
        return await self.ask(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def get(self, path: str) -> Answer:
        return await self.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    async def ask(self, request: bytes) -> Answer:
        """Raises NotReached or Lost; nothing is ever sent twice, so that nothing lost is hidden."""
        reader, writer = await self._connection()
        try:
            writer.write(request)
            answer = await _answer(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise Lost(repr(error)) from None
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # the server closed it while it was idle
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._source, 0))
            except OSError as error:
                raise NotReached(repr(error)) from None
        return self._streams

    def close(self) -> None:
        if self._streams is not None:
            with contextlib.suppress(OSError):
                self._streams[1].close()
            self._streams = None


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(head[0].split()[1]), headers, body)
