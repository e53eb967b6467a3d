"""A gateway of the simulation: the real dispatcher and roster over links that are channels and findings kept in a set."""

from __future__ import annotations

import asyncio
import mmap
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.dispatching.dispatch import Dispatcher
from gateway.dispatching.quarantine_folder import QuarantineFolder
from gateway.dispatching.roster import HEARTBEAT_INTERVAL_S, SCAN_SOON_S, Roster
from gateway.dispatching.worker_link import LAST_WORDS_S, WorkerLink
from gateway.pictures.crop_memory import CropMemory
from shared.announcement import Announcement
from shared.faces import Faces
from shared.messages import ToGateway
from shared.wire import decode_to_gateway, decode_to_worker
from tests.simulation.network import Channel, Letter
from tests.simulation.rules import Rules
from worker.crop_view import open_view

#: The mark takes one, each picture another: gateways have room for none, one, two or three.
CROP_PAGES_MAX = 4


class Findings:
    """The folder of findings, of all gateways together. changes: how often it was changed."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.changes = 1


class SharedFindings(QuarantineFolder):
    """QuarantineFolder with the set in place of the file system."""

    findings: Findings

    def open(self) -> None:
        pass

    def _time_of_change(self) -> int:
        return self.findings.changes

    def _names(self) -> set[str]:
        return self.findings.names | self._elsewhere

    def _write(self, name: str) -> None:
        self.findings.names.add(name)
        self.findings.changes += 1

    def _remove(self, names: Any) -> None:
        self._elsewhere.difference_update(names)
        for name in set(names) & self.findings.names:
            self.findings.names.discard(name)
            self.findings.changes += 1


class SimRoster(Roster):
    """Looks for workers and asks for signs when the simulation says so; a bug of ours shows itself at once."""

    def open(self) -> None:
        self._beaten = asyncio.get_running_loop().time()

    def _heard(self, link: WorkerLink, message: ToGateway, faces: Faces | None) -> None:
        self._take(link, message, faces)


class NoContext:
    def term(self) -> None:
        pass


@dataclass(slots=True, eq=False)
class SimLink:
    """WorkerLink to a worker of the simulation. there, back: its two directions."""

    announcement: Announcement
    on_message: Callable[[Any, Any, Any], None]
    on_lost: Callable[[Any, str], None]
    gateway: SimGateway
    worker: Any
    there: Channel = field(init=False)
    back: Channel = field(init=False)
    held: deque[Letter] = field(default_factory=deque)
    closed: bool = False

    @property
    def generation(self) -> str:
        return self.announcement.generation

    def send(self, frames: list[Any]) -> None:
        if self.closed or not self.gateway.alive:
            return
        plain = [bytes(memoryview(frame).cast("B")) if not isinstance(frame, bytes) else frame for frame in frames]
        self.there.send(self.gateway.loop.time(), self._asked(plain), plain)

    def _asked(self, frames: list[bytes]) -> Any:
        message, crops = decode_to_worker(frames, self.gateway.crops_seen)
        self.gateway.rules.asked(self.gateway.name, self.generation, message, crops)
        return message

    def _told(self, message: Any) -> None:
        self.gateway.rules.told(self.gateway.name, self.generation, message)

    def arrive(self, letter: Letter) -> None:
        if self.closed:
            return
        self.held.append(letter)
        if not self.gateway.frozen:
            self.read()

    def read(self) -> None:
        while self.held and not self.closed:
            letter = self.held.popleft()
            self.back.read()
            self._told(letter.message)
            self.on_message(self, *decode_to_gateway(letter.frames))

    def lose(self) -> None:
        """The worker's socket closed."""
        if self.gateway.frozen:
            self.gateway.loop.call_at(self.gateway.frozen_until + LAST_WORDS_S, self.lose)
        elif not self.closed:
            self.read()
            self.on_lost(self, "its socket closed")

    def close(self) -> None:
        """This side goes: what was sent before still arrives."""
        self.closed = True
        self.worker.gone.add(self.gateway.identity)
        self.back.cut()


@dataclass(slots=True, eq=False)
class SimGateway:
    """One process. link_to: opens a link to an announced worker. present: what is announced now.

    blind_until: it has not been told before where workers are.
    """

    loop: asyncio.AbstractEventLoop
    number: int
    name: str
    rules: Rules
    findings: Findings
    link_to: Callable[..., SimLink]
    present: Callable[[], dict[str, Announcement]]
    dispatcher: Dispatcher = field(init=False)
    crops_seen: NDArray[np.uint8] | None = None
    links: list[SimLink] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    alive: bool = True
    leaving: bool = False
    frozen_until: float = float("-inf")
    blind_until: float = float("-inf")
    began: float = 0.0

    def __post_init__(self) -> None:
        self.began = self.loop.time()
        self.dispatcher = self._dispatcher()
        self.dispatcher.quarantine = SharedFindings(Path("/simulated"))
        self.dispatcher.quarantine.findings = self.findings
        own = self.dispatcher.roster
        self.dispatcher.roster = self._roster(own)
        own.context.term()
        self.dispatcher.open()
        self._scan()
        self._beat()

    def _dispatcher(self) -> Dispatcher:
        crops = CropMemory((1 + self.number % CROP_PAGES_MAX) * mmap.PAGESIZE)
        self.crops_seen = open_view(crops.address)
        return Dispatcher(Path("/simulated"), self.name, self._incident, crops=crops, clock=self.loop.time)

    def _roster(self, own: Roster) -> Roster:
        hears = (own.on_message, self._on_lost, self._on_parted)
        return SimRoster(own.runtime_dir, own.name, *hears, NoContext(), self._link, own.crops)  # type: ignore[arg-type]

    @property
    def identity(self) -> bytes:
        return self.name.encode()

    @property
    def frozen(self) -> bool:
        return self.loop.time() < self.frozen_until

    @property
    def works(self) -> bool:
        return self.alive and not self.leaving and not self.frozen

    def _incident(self, event: str, facts: dict[str, object]) -> None:
        if facts.get("kind") == "invalid":
            self.rules.broken(f"a worker refused a request as {facts}")

    def _on_lost(self, generation: str, why: str) -> None:
        self.rules.lost(self.name, generation)
        self.dispatcher._on_lost(generation, why)

    def _on_parted(self, generation: str) -> None:
        self.rules.parted(self.name, generation)
        self.dispatcher._on_parted(generation)

    def _link(self, _context: Any, announcement: Announcement, on_message: Any, on_lost: Any, *_more: Any) -> SimLink:
        link = self.link_to(self, announcement, on_message, on_lost)
        self.links.append(link)
        return link

    def _scan(self) -> None:
        if self.works:
            self.dispatcher.roster.scan(self.present())
        if self.alive:
            self.loop.call_later(SCAN_SOON_S, self._scan)

    def _beat(self) -> None:
        if self.works:
            self.dispatcher.roster.beat(self.loop.time())
        if self.alive:
            self.loop.call_later(HEARTBEAT_INTERVAL_S, self._beat)

    def freeze(self, seconds: float) -> None:
        """It reads nothing and asks nothing for a while."""
        self.frozen_until = max(self.frozen_until, self.loop.time() + seconds)
        self.loop.call_at(self.frozen_until, self._thaw)

    def _thaw(self) -> None:
        if self.alive and not self.frozen:
            for link in list(self.links):
                link.read()

    def kill(self) -> None:
        """Without a word. Its clients lose their connections."""
        self.alive = False
        for link in self.links:
            here = link.there.end(self.loop.time(), flushed=False)
            self.loop.call_at(here, link.close)
            link.closed = True
        for task in self.tasks:
            task.cancel()

    def leave(self) -> None:
        """It stops in good order."""
        if self.works:
            self.leaving = True
            self.loop.create_task(self._leave())

    async def _leave(self) -> None:
        await self.dispatcher.aclose()
        self.alive = False
