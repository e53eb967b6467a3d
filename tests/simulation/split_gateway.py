"""A gateway of the simulation that has a host of its own: the real split roster, its hosts of workers, and its share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from gateway.dispatching.dispatch import Dispatcher
from gateway.dispatching.quarantine_share import QuarantineShare
from gateway.dispatching.roster import HEARTBEAT_INTERVAL_S, Roster
from gateway.dispatching.split_roster import LOOK_INTERVAL_S, SplitRoster
from gateway.dispatching.worker_hosts import WorkerHosts
from gateway.dispatching.worker_link import WorkerLink
from shared.faces import Faces
from shared.messages import ToGateway
from shared.split_rules import HostPort
from shared.supervision import Loop
from tests.simulation.gateway import NoContext, SimGateway
from tests.simulation.store import SimStore

NAME = HostPort("workers", 7400)


class SimSplitRoster(SplitRoster):
    """Looks at its hosts when the simulation says so; a bug of ours shows itself at once."""

    def open(self) -> None:
        clock = self.hosts.now  # type: ignore[attr-defined]
        self._beaten = clock()
        self.hosts.changed = lambda: self.look(clock())

    def _heard(self, link: WorkerLink, message: ToGateway, faces: Faces | None) -> None:
        self._take(link, message, faces)


@dataclass(kw_only=True)
class SimWorkerHosts(WorkerHosts):
    now: Any


@dataclass(eq=False)
class SplitGateway(SimGateway):
    """addresses: what the name of the workers' hosts stands for. links_max: to workers."""

    store: SimStore = field(kw_only=True)
    addresses: Any = field(kw_only=True)
    links_max: int = field(kw_only=True)
    resolves_at: float = 0.0
    sharing: list[Loop] = field(default_factory=list)

    def __post_init__(self) -> None:
        SimGateway.__post_init__(self)
        # A host that stands still may hear of nothing later than others: its share goes on meanwhile.
        told = cast("Redis", self.store)
        share = QuarantineShare(told, self.dispatcher.quarantine, lambda _why: None, self.loop.time)
        loops = self.dispatcher.loops
        self.sharing = [
            loops.keep("quarantine_said", share.send, 0.0, last_round_s=0.0),
            loops.keep("quarantine_news", share.hear, 0.0, last_round_s=0.0),
        ]

    @property
    def roster(self) -> SimSplitRoster:
        return cast("SimSplitRoster", self.dispatcher.roster)

    def _dispatcher(self) -> Dispatcher:
        hosts = SimWorkerHosts(
            [NAME], {"key": "workers"}, self.name, "", self.links_max, self._incident, connect=self._link,
            addresses=self.addresses, now=self.loop.time,
        )  # fmt: skip
        return Dispatcher(Path("/simulated"), self.name, self._incident, hosts, clock=self.loop.time)

    def _roster(self, own: Roster) -> Roster:
        assert isinstance(own, SplitRoster)
        return SimSplitRoster(
            own.runtime_dir, own.name, own.on_message, self._on_lost, self._on_parted, NoContext(), self._link,  # type: ignore[arg-type]
            hosts=own.hosts, on_doubted=self._on_doubted, on_relinked=own.on_relinked,
        )  # fmt: skip

    def _on_doubted(self, generation: str) -> None:
        self.rules.doubted(self.name, generation)
        self.dispatcher.queue.doubted(generation)

    def _scan(self) -> None:
        if self.works:
            hosts, now = self.roster.hosts, self.loop.time()
            if now >= self.resolves_at:
                self.resolves_at = now + hosts.resolve_pause()
                self.loop.create_task(hosts.resolve())
            self.roster._round()
            if not hosts.hosts:
                self.blind_until = now
        if self.alive:
            self.loop.call_later(LOOK_INTERVAL_S, self._scan)

    def _beat(self) -> None:
        if self.works:
            self.roster.beat(self.loop.time())
        if self.alive:
            self.loop.call_later(HEARTBEAT_INTERVAL_S, self._beat)

    def kill(self) -> None:
        SimGateway.kill(self)
        self.loop.create_task(self.end_sharing())

    async def _leave(self) -> None:
        await SimGateway._leave(self)
        await self.end_sharing()

    async def end_sharing(self) -> None:
        for loop in self.sharing:
            await loop.end()
        self.sharing = []
