"""Arriving: how much of one request has come, and how much of each kind may. Pure; raises Refused."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.edge.refusals import (
    CHUNKS_TOO_SMALL,
    CHUNKS_TOO_WORDY,
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    HEADERS_TOO_LARGE,
    Refused,
)
from shared import numerals

#: A head that is too large is read on until it is so many times too large.
HEADS_READ = 2
#: So many chunks are free; beyond them they must hold so many bytes on average. A chunk costs half a microsecond.
CHUNKS_FREE, CHUNK_BYTES_MEAN_MIN = 65_536, 16
#: What may come beside the bytes of a body: its framing, for each chunk and in all.
CHUNK_FRAMING_MAX, FRAMING_FREE = 16, 256 * 1024


@dataclass(slots=True)
class Arriving:
    """declared: the body's length as its header has it, 0 for none; body: how many bytes of it are here."""

    declared: int = 0
    body: int = 0
    header_bytes: int = 0
    headers: int = 0
    chunks: int = 0

    def target(self, url: bytes) -> None:
        self.header_bytes += len(url)
        self.check_head(HEADS_READ)

    def header(self, name: bytes, value: bytes) -> None:
        self.headers += 1
        self.header_bytes += len(name) + len(value)
        if self.header_bytes > HEADS_READ * HEADER_BYTES_MAX or self.headers > HEADS_READ * HEADERS_MAX:
            raise Refused(HEADERS_TOO_LARGE)
        if name == b"content-length":
            self.declared = numerals.count(value.decode("latin-1")) or 0

    def chunk(self) -> None:
        self.chunks += 1
        if self.chunks > CHUNKS_FREE + self.body // CHUNK_BYTES_MEAN_MIN:
            raise Refused(CHUNKS_TOO_SMALL)

    def check_framing(self, came: int) -> None:
        """came: all bytes since the head."""
        if came - self.body > FRAMING_FREE + CHUNK_FRAMING_MAX * self.chunks:
            raise Refused(CHUNKS_TOO_WORDY)

    def check_head(self, most: int = 1) -> None:
        """Once the head is whole; until then `most` times as much is read: who asks may stand behind what is too much,
        and a page that is not told so in the answer cannot read it.
        """
        if self.header_bytes > most * HEADER_BYTES_MAX or self.headers > most * HEADERS_MAX:
            raise Refused(HEADERS_TOO_LARGE)
