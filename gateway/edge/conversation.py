"""Conversation: what one connection may take its time for, and what it may not. Pure: bytes and `now` are arguments.

receiving   idle → headers → body → idle …      answering and sending go on beside it
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Self

from shared.settings import Settings

Phase = Literal["idle", "headers", "body", "lingering"]
Ending = Literal["late headers", "late body", "close", "abort"]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds and bytes per second; `grace_s` passes before a rate counts.

    header_s: from the first moment of a connection or the first byte of a request to its last header.
    upload_rate, download_rate: must be kept on average; 0 asks for any byte at all. silence_s: the longest that
    nothing may move, however much came before. idle_s: between two requests. linger_s, linger_bytes:
    how long and how much is still read from a client that was answered before it had sent everything. drain_s: what
    an idle or lingering connection still has once the process accepts no more; twice that for headers.
    """

    header_s: float = 10.0
    grace_s: float = 10.0
    upload_rate: float = 8192.0
    download_rate: float = 8192.0
    silence_s: float = 30.0
    idle_s: float = 75.0
    linger_s: float = 5.0
    linger_bytes: int = 64 * 1024 * 1024
    drain_s: float = 1.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As these settings have it."""
        return cls(
            header_s=settings.header_timeout,
            grace_s=settings.header_timeout,
            upload_rate=settings.min_transfer_rate,
            download_rate=settings.min_transfer_rate,
            silence_s=max(settings.header_timeout, settings.request_timeout),
            idle_s=settings.keep_alive,
        )

    def slowest_upload_s(self, size: int) -> float:
        """The longest that a body of so many bytes can take at the least rate; 0 where none is asked for."""
        return self.grace_s + size / self.upload_rate if self.upload_rate else 0.0


@dataclass(slots=True)
class Pace:
    """Until when one side is waited for: every byte buys the time that it may take at the least rate."""

    rate: float
    silence_s: float
    until: float = math.inf

    def moved(self, count: int, now: float) -> None:
        bought = count / self.rate if self.rate else math.inf
        self.until = min(self.until + bought, max(self.until, now + self.silence_s))


@dataclass(slots=True)
class Conversation:
    """One connection. since: when its phase began. answering: whether a request of it is being worked on."""

    patience: Patience
    since: float
    phase: Phase = "headers"
    received: int = 0
    answering: bool = False
    _upload: Pace = field(init=False)
    _download: Pace = field(init=False)
    _write_since: float = 0.0
    _write_left: int = 0

    def __post_init__(self) -> None:
        self._upload = Pace(self.patience.upload_rate, self.patience.silence_s)
        self._download = Pace(self.patience.download_rate, self.patience.silence_s)

    def enter(self, phase: Phase, now: float) -> None:
        self.phase, self.since, self.received = phase, now, 0
        self._upload.until = now + self.patience.grace_s

    def received_bytes(self, count: int, now: float) -> None:
        if self.phase == "idle":
            self.enter("headers", now)
        self.received += count
        if self.phase == "body":
            self._upload.moved(count, now)

    def paused(self, seconds: float) -> None:
        """This side did not read for so long: that is not the client's slowness."""
        if self.phase == "body":
            self._upload.until += seconds

    def ending(self, now: float, to_send: int, *, stopped: float | None) -> Ending | None:
        """What must happen to the connection now; None when all is well. to_send: bytes the client has not taken.

        stopped: when the process stopped accepting connections; what was idle long before still has its moment.
        """
        if self._reads_too_slowly(now, to_send):
            return "abort"
        spent, patience = now - self.since, self.patience
        stopping = 0.0 if stopped is None else now - max(self.since, stopped)
        if self.phase == "headers":
            if spent > patience.header_s or stopping > 2 * patience.drain_s:
                return "late headers" if self.received else "close"
        elif self.phase == "body":
            if now > self._upload.until:
                return "late body"
        elif self.phase == "lingering":
            if spent > patience.linger_s or self.received > patience.linger_bytes or stopping > patience.drain_s:
                return "close"
        elif not self.answering and (spent > patience.idle_s or stopping > patience.drain_s):
            return "close"
        return None

    def owes(self, now: float, unsent: int) -> float:
        """Byte-seconds of our memory that unread answers have taken, as of the last look."""
        return unsent * (now - self._write_since) if unsent else 0.0

    def _reads_too_slowly(self, now: float, to_send: int) -> bool:
        if to_send == 0 or self._write_left == 0:
            self._write_since, self._download.until = now, now + self.patience.grace_s
        elif to_send < self._write_left:
            self._download.moved(self._write_left - to_send, now)
        self._write_left = to_send
        return now > self._download.until
