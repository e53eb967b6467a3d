"""Roster: which workers there are, which of them answer, and which are gone. Owns the links and their heartbeats.

announced → Hello → Welcome: it serves → silent too long: suspected → a sign: Hello again → Welcome
its socket closes → gone for ever; Goodbye → asked again, unless its socket closes first
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from gateway.dispatching.worker_link import Context, WorkerLink
from shared.announcement import Announcement, Watch
from shared.faces import Faces
from shared.messages import CropMemoryAddress, Goodbye, Heartbeat, Hello, ToGateway, Welcome
from shared.supervision import Loop, Loops
from shared.wire import encode

#: How often new workers are looked for: while one is expected (none is known, or one was lost lately), and else.
SCAN_SOON_S, SCAN_INTERVAL_S, EXPECTED_S = 0.2, 1.0, 30.0
#: How often the known ones are asked for a sign of life.
HEARTBEAT_INTERVAL_S = 1.0
#: A worker that gives no sign for the larger of this and so many of its own batch times hangs.
HANG_S_MIN = 3.0
HANG_BATCHES = 5
#: A worker that said goodbye and is still there is greeted again after this.
GREET_AGAIN_S = 1.0


@dataclass(slots=True)
class Known:
    """A worker behind a link. welcome is None while it does not serve us; greeting: our Hello is unanswered."""

    link: WorkerLink
    heard: float
    welcome: Welcome | None = None
    greeting: bool = False
    suspected: bool = False
    parted: float | None = None
    batch_s: float = 0.0

    @property
    def silence_s_max(self) -> float:
        return max(HANG_S_MIN, HANG_BATCHES * self.batch_s)


@dataclass(slots=True)
class Roster:
    """on_message: everything a worker says. on_lost: it died or hangs; on_parted: it left in good health.

    crops: where workers of this host may read our crops.
    """

    runtime_dir: Path
    name: str
    on_message: Callable[[Known, ToGateway, Faces | None], None]
    on_lost: Callable[[str, str], None]
    on_parted: Callable[[str], None]
    context: Context = field(default_factory=lambda: zmq.Context(1))
    connect: Callable[..., WorkerLink] = WorkerLink
    crops: CropMemoryAddress | None = None
    loops: Loops = field(default_factory=Loops)
    known: dict[str, Known] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)
    _kept: list[Loop] = field(default_factory=list)
    _sequence: int = 0
    _beaten: float = 0.0
    _closed_at: float = float("-inf")

    def open(self) -> None:
        self._beaten = _now()
        watch = Watch(self.runtime_dir)
        self._kept = [
            self.loops.keep("worker_scan", lambda: self.scan(watch.announced(time.time())), self._scan_pause),
            self.loops.keep("worker_heartbeats", lambda: self.beat(_now()), HEARTBEAT_INTERVAL_S),
        ]

    async def aclose(self) -> None:
        """Says goodbye to every worker and closes the links."""
        for loop in self._kept:
            await loop.end()
        for known in self.known.values():
            known.link.send(encode(Goodbye()))
        await asyncio.sleep(0)
        for known in self.known.values():
            known.link.close()
        self.known.clear()
        self.context.term()

    @property
    def workers(self) -> list[Welcome]:
        """The workers that serve now."""
        return [known.welcome for known in self.known.values() if known.welcome is not None]

    # What workers say

    def _heard(self, link: WorkerLink, message: ToGateway, faces: Faces | None) -> None:
        """What fails here is a bug of ours; the link must not stop reading for it (its descriptor wakes us once)."""
        try:
            self._take(link, message, faces)
        except Exception as error:
            self.loops.note("worker_messages", error)

    def _take(self, link: WorkerLink, message: ToGateway, faces: Faces | None) -> None:
        known = self.known.get(link.generation)
        if known is None or known.link is not link:
            return
        known.heard = _now()
        if isinstance(message, Welcome):
            if message.generation != link.generation:
                return
            known.welcome, known.greeting, known.suspected = message, False, False
        elif isinstance(message, Heartbeat):
            known.batch_s = message.batch_s
        elif isinstance(message, Goodbye):
            self._parted(known, again=message.again)
        if known.suspected and not known.greeting:
            self._greet(known)
        self.on_message(known, message, faces)

    def _parted(self, known: Known, *, again: bool) -> None:
        """It said Goodbye. Who wants a Hello while one is on its way gets no second: that would undo the first."""
        if again and known.greeting:
            return
        known.welcome, known.parted, known.greeting = None, known.heard, False
        self.on_parted(known.link.generation)
        if again:
            self._greet(known)
        else:
            known.link.send(encode(Goodbye()))

    def _greet(self, known: Known) -> None:
        known.greeting, known.parted = True, None
        known.link.send(encode(Hello(self.name, self.crops)))

    def _closed(self, link: WorkerLink, why: str) -> None:
        known = self.known.get(link.generation)
        if known is None or known.link is not link:
            return
        del self.known[link.generation]
        self._ended.add(link.generation)
        self._closed_at = _now()
        link.close()
        if known.welcome is not None:
            self.on_lost(link.generation, why)

    # What time brings

    def _scan_pause(self) -> float:
        expected = not self.known or _now() - self._closed_at < EXPECTED_S
        return SCAN_SOON_S if expected else SCAN_INTERVAL_S

    def scan(self, found: dict[str, Announcement]) -> None:
        """Links to workers not known yet; a generation that ended never returns."""
        self._ended &= found.keys()
        now = _now()
        for generation, announcement in found.items():
            if generation not in self.known and generation not in self._ended:
                link = self.connect(self.context, announcement, self._heard, self._closed)
                self.known[generation] = Known(link, now)
                self._greet(self.known[generation])
        for known in list(self.known.values()):
            if known.parted is not None and now - known.parted > GREET_AGAIN_S:
                self._greet(known)

    def beat(self, now: float) -> None:
        """Asks everyone for a sign. Time in which this process itself stood still is nobody's silence."""
        absence = now - self._beaten if now - self._beaten > 1.5 * HEARTBEAT_INTERVAL_S else 0.0
        self._beaten = now
        self._sequence += 1
        for known in list(self.known.values()):
            known.heard += absence
            if known.suspected or known.parted is not None:
                continue
            if now - known.heard > known.silence_s_max:
                self._suspect(known)
            else:
                known.link.send(encode(Heartbeat(self._sequence)))

    def _suspect(self, known: Known) -> None:
        """It hangs: its work goes elsewhere. The link stays, so that its late answers are seen and counted."""
        served, known.suspected, known.welcome = known.welcome is not None, True, None
        if served:
            self.on_lost(known.link.generation, f"no sign of life for {known.silence_s_max:.1f} s")


def _now() -> float:
    return asyncio.get_running_loop().time()
