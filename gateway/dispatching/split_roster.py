"""SplitRoster: the roster where workers have hosts of their own: there a closed link says nothing of a worker.

its link closes or is silent → in doubt: nothing more is sent, what it has in hand waits, and it is linked anew
its pool says that it died   → lost, as on one host: what it had in hand is suspected
it welcomes us again, or its pool is silent or says that it left, or DOUBT_S_MAX is over → its work goes elsewhere
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.dispatching.roster import GREET_AGAIN_S, HEARTBEAT_INTERVAL_S, Known, Roster
from gateway.dispatching.worker_hosts import WorkerHosts, pause_after
from gateway.dispatching.worker_link import WorkerLink
from shared.announcement import Announcement
from shared.faces import Faces
from shared.messages import Goodbye, ToGateway, Welcome
from shared.wire import encode

LOOK_INTERVAL_S = 0.1
#: A pool that is well says that a worker died long before; what hangs it kills after `worker/watch.py:HANG_S_MIN`.
DOUBT_S_MAX = 4.0
#: What a dying worker said last may still be on its way when its pool tells.
LAST_WORDS_S = 0.2


@dataclass(slots=True)
class Absence:
    """A worker without a link that serves. again_at: when it is linked anew; None while an attempt is under way.

    doubt: since when it is not known whether it lives with our work in its hand; None when it has none.
    """

    why: str
    doubt: float | None = None
    again_at: float | None = None
    failures: int = 0


@dataclass(kw_only=True)
class SplitRoster(Roster):
    """on_doubted: nothing more may be sent to this worker for now; what it has in hand waits.

    on_relinked: one is back.
    """

    hosts: WorkerHosts
    on_doubted: Callable[[str], None]
    on_relinked: Callable[[], None]
    _absences: dict[str, Absence] = field(default_factory=dict)
    _ended_at: dict[str, float] = field(default_factory=dict)
    _leaving: set[WorkerLink] = field(default_factory=set)
    _closing: bool = False

    def open(self) -> None:
        clock = asyncio.get_running_loop().time
        self._beaten = clock()
        self.hosts.changed = lambda: self.look(clock())
        self._kept = [
            self.loops.keep("worker_names", self.hosts.resolve, self.hosts.resolve_pause),
            self.loops.keep("worker_scan", self._round, LOOK_INTERVAL_S),
            self.loops.keep("worker_heartbeats", lambda: self.beat(clock()), HEARTBEAT_INTERVAL_S),
        ]

    async def aclose(self) -> None:
        self._closing = True
        for loop in self._kept:
            await loop.end()
        for link in self._leaving:
            link.close()
        self.hosts.close()
        await super().aclose()

    def _round(self) -> None:
        now = asyncio.get_running_loop().time()
        self.hosts.look(self.context, now)
        self.look(now)

    def look(self, now: float) -> None:
        """What the pools say of each worker, and what follows."""
        if self._closing:
            return
        wanted = self.hosts.announced(now)
        for generation in list(self.known):
            self._judge(generation, wanted, now)
        for generation, announcement in wanted.items():
            if generation not in self.known:
                self._link(announcement, now)

    def links(self, now: float) -> dict[str, int]:
        """How many links to pools and workers there are, by how they stand."""
        doubted = sum(absence.doubt is not None for absence in self._absences.values())
        silent = sum(host.silent(now) for host in self.hosts.hosts.values())
        away = len(self._absences) + silent
        every = len(self.known) + len(self.hosts.hosts)
        return {"standing": every - away, "doubted": doubted, "cut": away - doubted}

    # One worker

    def _judge(self, generation: str, wanted: dict[str, Announcement], now: float) -> None:
        fate, absence = self.hosts.fate(generation, now), self._absences.get(generation)
        if fate == "ended":
            self._mourn(generation, absence, now)
        elif fate == "gone":
            self._part(generation, "its pool does not know it any more")
        elif fate == "listed" and generation not in wanted:
            self._part(generation, "")
        elif absence is not None:
            if absence.doubt is not None and (fate == "unheard" or now - absence.doubt > DOUBT_S_MAX):
                self._give_back(generation, absence)
            if absence.again_at is not None and now >= absence.again_at and generation in self.hosts.where:
                self._relink(generation, absence, now)
        elif (parted := self.known[generation].parted) is not None and now - parted > GREET_AGAIN_S:
            self._greet(self.known[generation])

    def _mourn(self, generation: str, absence: Absence | None, now: float) -> None:
        """It died. Where its link still stands, its last words are waited for."""
        since = self._ended_at.setdefault(generation, now)
        known = self.known[generation]
        if absence is None and now - since < LAST_WORDS_S:
            return
        served = known.welcome is not None or (absence is not None and absence.doubt is not None)
        self._remove(generation)
        if served:
            self.on_lost(generation, "its pool says that it ended")

    def _part(self, generation: str, why: str) -> None:
        """Nothing is wrong with it."""
        known, absence = self.known[generation], self._absences.get(generation)
        known.link.send(encode(Goodbye()))
        served = known.welcome is not None or (absence is not None and absence.doubt is not None)
        self._leaving.add(known.link)
        asyncio.get_running_loop().call_later(LAST_WORDS_S, self._left, known.link)
        self._remove(generation, close=False)
        if served:
            self.on_parted(generation)
            self.hosts.tell("worker left", {"worker": generation, "why": why or "others are nearer to this gateway"})

    def _left(self, link: WorkerLink) -> None:
        link.close()
        self._leaving.discard(link)

    def _give_back(self, generation: str, absence: Absence) -> None:
        absence.doubt = None
        self.on_parted(generation)
        self.hosts.tell("worker cut off", {"worker": generation, "why": absence.why})

    def _remove(self, generation: str, *, close: bool = True) -> None:
        known = self.known.pop(generation)
        if close:
            known.link.close()
        self._absences.pop(generation, None)
        self._ended_at.pop(generation, None)

    # Links

    def _link(self, announcement: Announcement, now: float) -> None:
        link = self.connect(
            self.context, announcement, self._heard, self._closed, self.hosts.credentials(announcement.generation),
            self.hosts.odd,
        )  # fmt: skip
        known = self.known.setdefault(announcement.generation, Known(link, now))
        known.link, known.heard, known.suspected = link, now, False
        self._greet(known)

    def _relink(self, generation: str, absence: Absence, now: float) -> None:
        absence.again_at = None
        self._link(self.known[generation].link.announcement, now)

    def _take(self, link: WorkerLink, message: ToGateway, faces: Faces | None) -> None:
        known = self.known.get(link.generation)
        welcomed = isinstance(message, Welcome) and message.generation == link.generation
        if welcomed and known is not None and known.link is link:
            absence = self._absences.pop(link.generation, None)
            if absence is not None:
                self.on_relinked()
        super()._take(link, message, faces)

    def _closed(self, link: WorkerLink, why: str) -> None:
        known = self.known.get(link.generation)
        if known is None or known.link is not link:
            return
        link.close()
        now = asyncio.get_running_loop().time()
        absence = self._absences.setdefault(link.generation, Absence(why))
        if known.welcome is not None:
            absence.why, absence.doubt = why, now
            self.on_doubted(link.generation)
        known.welcome, known.greeting, known.parted, known.suspected = None, False, None, True
        absence.again_at, absence.failures = now + pause_after(absence.failures), absence.failures + 1
        self.look(now)

    def _suspect(self, known: Known) -> None:
        self._closed(known.link, f"no sign of life for {known.silence_s_max:.1f} s")
