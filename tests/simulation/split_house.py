"""A house whose workers have hosts of their own, gateways too: hosts come and go, links are cut, names are lost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from gateway.dispatching.worker_hosts import RESOLVE_INTERVAL_S
from shared.announcement import Announcement
from shared.split_rules import HostPort
from tests.simulation.gateway import Findings, SimGateway, SimLink
from tests.simulation.house import House
from tests.simulation.plan import Fault
from tests.simulation.split_gateway import SplitGateway
from tests.simulation.split_host import SimHost, SimPool
from tests.simulation.split_wire import CONNECT_S, PINGED_S, REFUSED_S, HeldChannel, HostLink, PoolLink
from tests.simulation.store import SimStore
from tests.simulation.worker import SimWorker

#: A worker that can be reached has a link to every gateway again so soon.
BACK_S_MAX = 3.0
#: A host that leaves loses its name at once and is gone when its workers are; then it may come again.
PORT = 7400


@dataclass
class SplitHouse(House):
    """hosts: of workers. missed: since when a gateway has no link to a worker that it could reach."""

    hosts: list[SimHost] = field(default_factory=list)
    store: SimStore = field(init=False)
    missed: dict[tuple[str, str], float] = field(default_factory=dict)
    nameless_until: float = 0.0
    pools: int = 0

    def open(self) -> None:
        self.store = SimStore(self.loop, random.Random(f"store {self.plan.seed}"))
        self.rules.lives = lambda generation: any(
            one.alive and one.generation == generation for one in self.workers.values()
        )
        each = self.plan.workers // self.plan.hosts
        for number in range(self.plan.hosts):
            pool = self._pool(range(number * each, (number + 1) * each), number)
            self.hosts.append(SimHost(self.loop, self.chance, number, HostPort(f"10.0.0.{number}", PORT), pool))
        for number in range(self.plan.gateways):
            self.start_gateway(number)

    async def close(self) -> None:
        for gateway in self.gateways:
            if isinstance(gateway, SplitGateway):
                await gateway.end_sharing()

    def look(self) -> None:
        super().look()
        now, missed = self.loop.time(), {}
        for worker in self.workers.values():
            for gateway in self.gateways:
                if worker.serves and gateway.works and self._apart(gateway, worker):
                    key = (gateway.name, worker.generation)
                    since = missed[key] = max(self.missed.get(key, now), worker.well_since, gateway.blind_until)
                    bound_s = BACK_S_MAX + 6 * self.plan.late_s + 4 * worker.numbers.longest_s
                    if now - since > bound_s:
                        self.rules.broken(
                            f"{gateway.name} is not linked to {worker.generation} after {now - since:.1f} s"
                        )
                        missed[key] = float("inf")  # told once
        self.missed = missed

    def _apart(self, gateway: SimGateway, worker: SimWorker) -> bool:
        """With fewer links than workers it has those that its own choice falls on."""
        return self.plan.links_max >= self.plan.workers and worker.generation not in gateway.dispatcher.queue.workers

    # What befalls the house

    def _befall(self, fault: Fault) -> None:
        if fault.what in ("lose_names", "lose_store"):
            getattr(self, fault.what)(fault.much)
        elif "host" in fault.what:
            getattr(self, fault.what)(self.hosts[fault.which], fault.much)
        elif "worker" not in fault.what or fault.which in self.workers:
            super()._befall(fault)

    def freeze_worker(self, worker: SimWorker, much: float) -> None:
        worker.freeze(much)
        self._host_of(worker.slot).pool.watch(worker)

    def cut_host(self, host: SimHost, much: float) -> None:
        """Its packets go nowhere and nobody is told."""
        host.heals = max(host.heals, self.loop.time() + much)
        for worker in host.pool.workers.values():
            worker.well_since = max(worker.well_since, host.heals)
        self.loop.call_later(PINGED_S, self._pings_unanswered, host, self.loop.time())

    def _pings_unanswered(self, host: SimHost, since: float) -> None:
        """Its own end of every connection that it had then is closed; the other learns of that afterwards."""
        if self.loop.time() < host.heals:
            for link in host.links:
                if isinstance(link, HostLink) and link.listened_to and not link.closed:
                    link.worker.gone.add(link.gateway.identity)
                    self.loop.call_at(host.heals + REFUSED_S, link.lose)

    def reset_host(self, host: SimHost, _much: float) -> None:
        for link in host.links:
            if isinstance(link, HostLink) and link.attached and not link.closed and self.loop.time() >= host.heals:
                link.reset()

    def kill_host(self, host: SimHost, much: float) -> None:
        if host.pool.alive:
            host.pool.kill()
            self._close_pool_links(host)
            self.loop.call_later(much, self._start_host, host)

    def freeze_host(self, host: SimHost, much: float) -> None:
        host.pool.freeze(much)

    def stop_host(self, host: SimHost, much: float) -> None:
        if host.pool.alive and not host.pool.stopping:
            host.named = False
            host.pool.stop()
            self.loop.call_later(much, self._start_host, host)

    def _start_host(self, host: SimHost) -> None:
        if host.pool.alive:  # it still ends
            if host.pool.stopping:
                self.loop.call_later(1.0, self._start_host, host)
            return
        self._close_pool_links(host)
        known_s = 0.0 if host.named else RESOLVE_INTERVAL_S
        host.named, host.pool = True, self._pool(host.pool.slots, host.number)
        for worker in host.pool.workers.values():
            worker.well_since = max(self.loop.time() + known_s, self.nameless_until + known_s, host.heals)

    def _close_pool_links(self, host: SimHost) -> None:
        for link in host.links:
            if isinstance(link, PoolLink) and not link.closed:
                self.loop.call_at(max(self.loop.time(), host.heals) + 0.01, link.lose)

    def lose_names(self, much: float) -> None:
        self.nameless_until = max(self.nameless_until, self.loop.time() + much)

    def lose_store(self, much: float) -> None:
        self.store.away_until = max(self.store.away_until, self.loop.time() + much)
        self.store.listeners.clear()

    # Hosts and links

    def start_gateway(self, number: int) -> None:
        if not any(one.number == number and one.alive for one in self.gateways):
            self.started += 1
            name = f"gateway {number}.{self.started}"
            self.gateways.append(
                SplitGateway(
                    self.loop,
                    number,
                    name,
                    self.rules,
                    Findings(),
                    self._link_to_port,
                    self._present,
                    store=self.store,
                    addresses=self._addresses,
                    links_max=self.plan.links_max,
                )
            )

    async def _addresses(self, _name: HostPort) -> set[HostPort]:
        found = {host.place for host in self.hosts if host.named}
        if self.loop.time() < self.nameless_until or not found:
            raise OSError("no records")
        return found

    def _pool(self, slots: range, number: int) -> SimPool:
        self.pools += 1
        return SimPool(self.loop, self.chance, self.pools, slots, lambda pool, slot: self._worker(pool, slot, number))

    def _worker(self, pool: SimPool, slot: int, number: int) -> SimWorker:
        self.started += 1
        make = self.plan.make
        worker = SimWorker(
            self.loop, slot, f"w{slot}.{self.started}", make, make.run_s, lambda one: self._gone(one, pool),
            self.rules.answered_late, reached=lambda: self.hosts[number].reached,
        )  # fmt: skip
        self.workers[slot] = worker
        if number < len(self.hosts):
            worker.well_since = max(worker.well_since, self.hosts[number].heals)
        return worker

    def _gone(self, worker: SimWorker, pool: SimPool) -> None:
        self._bury(worker)
        host = self._host_of(worker.slot)
        for link in host.links:
            if link.worker is worker and not link.closed:
                at = max(link.back.last_due, self.loop.time(), host.heals) + 0.01
                self.loop.call_at(at, link.lose)
        pool.ended(worker)

    def _host_of(self, slot: int) -> SimHost:
        return next(host for host in self.hosts if slot in host.pool.slots)

    def _link_to_port(self, gateway: SimGateway, announcement: Announcement, on_message: Any, on_lost: Any) -> SimLink:
        where, above = next(
            (host, above)
            for host in self.hosts
            for above in range(self.plan.workers + 1)
            if host.place.endpoint(above) == announcement.endpoint
        )
        there, now = where.listener(above), self.loop.time()
        kind = HostLink if above else PoolLink
        link = kind(announcement, on_message, on_lost, gateway, there or where.pool, host=where)
        chance = random.Random(f"{self.plan.seed} {gateway.name} {announcement.endpoint} {now}")
        late_s, name = self.plan.late_s, gateway.identity
        heals = {"heals": lambda: where.heals}

        def arrive(letter: Any) -> None:
            link.worker.arrive(name, link.there, letter)

        link.there = HeldChannel(self.loop, chance, late_s, arrive, open=lambda: link.listened_to, **heals)
        link.back = HeldChannel(self.loop, chance, late_s, link.arrive, self.plan.room if above else 1 << 30, **heals)
        where.links = [one for one in where.links if not one.closed]
        if now < where.heals:
            self.loop.call_later(CONNECT_S, link.lose)
        elif there is None:
            self.loop.call_later(REFUSED_S, link.lose)
        else:
            for other in where.links:
                if other.worker is there and other.gateway is gateway:
                    self.loop.call_later(REFUSED_S, other.lose)
            link.attach()
            where.links.append(link)
        return link
