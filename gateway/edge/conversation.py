"""Conversation: what one connection may take its time for, and what it may not. Pure: bytes and `now` are arguments.

receiving   idle → headers → body → idle …      answering and sending go on beside it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["idle", "headers", "body", "lingering"]
Verdict = Literal["late headers", "late body", "close", "abort"]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds and bytes per second; `grace_s` passes before a rate counts.

    header_s: from the first moment of a connection or the first byte of a request to its last header.
    upload_rate, download_rate: averages that must be kept. idle_s: between two requests. linger_s, linger_bytes:
    how long and how much is still read from a client that was answered before it had sent everything.
    drain_s: what an idle connection still has once the process accepts no more; twice that for headers.
    """

    header_s: float = 10.0
    grace_s: float = 10.0
    upload_rate: float = 8192.0
    download_rate: float = 8192.0
    idle_s: float = 75.0
    linger_s: float = 5.0
    linger_bytes: int = 64 * 1024 * 1024
    drain_s: float = 1.0


@dataclass(slots=True)
class Conversation:
    """One connection. since: when its phase began. answering: whether a request of it is being worked on."""

    patience: Patience
    since: float
    phase: Phase = "headers"
    received: int = 0
    answering: bool = False
    _write_since: float = 0.0
    _write_left: int = 0
    _write_done: int = 0

    def enter(self, phase: Phase, now: float) -> None:
        self.phase, self.since, self.received = phase, now, 0

    def received_bytes(self, count: int, now: float) -> None:
        if self.phase == "idle":
            self.enter("headers", now)
        self.received += count

    def paused(self, seconds: float) -> None:
        """This side did not read for so long: that is not the client's slowness."""
        if self.phase == "body":
            self.since += seconds

    def verdict(self, now: float, to_send: int, *, stopped: float | None) -> Verdict | None:
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
            if self.received < (spent - patience.grace_s) * patience.upload_rate:
                return "late body"
        elif self.phase == "lingering":
            if spent > patience.linger_s or self.received > patience.linger_bytes:
                return "close"
        elif not self.answering and (spent > patience.idle_s or stopping > patience.drain_s):
            return "close"
        return None

    def owes(self, now: float, to_send: int) -> float:
        """Byte-seconds of our memory that unread answers have taken, as of the last verdict."""
        return to_send * (now - self._write_since) if to_send else 0.0

    def _reads_too_slowly(self, now: float, to_send: int) -> bool:
        if to_send == 0 or self._write_left == 0:
            self._write_since, self._write_done = now, 0
        else:
            self._write_done += max(0, self._write_left - to_send)
        self._write_left = to_send
        spent = now - self._write_since - self.patience.grace_s
        return to_send > 0 and spent > 0 and self._write_done < spent * self.patience.download_rate
