"""WorkerHosts: where workers of other hosts are, as their pools say. Owns names, addresses and the links to pools.

    names ──DNS──> addresses ──RollCall──> pools ──Roll──> who works there, who died

A pool that is silent says nothing: neither that its workers live nor that one of them died.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.dispatching.subset import subset
from gateway.dispatching.worker_link import Context, Credentials, WorkerLink
from shared.announcement import Announcement
from shared.faces import Faces
from shared.messages import Listed, Roll, RollCall, ToGateway
from shared.seldom import Seldom
from shared.split_rules import HostPort
from shared.wire import WireError, encode

ASK_INTERVAL_S = 1.0
#: How often names are looked up: while one has never had an address, and else.
RESOLVE_SOON_S, RESOLVE_INTERVAL_S = 0.5, 5.0
#: A pool that gives no sign for so long is silent.
SILENCE_S_MAX = 3.0
#: Between attempts to reach a pool or a worker again: doubled from the first, so that a mended link is found soon.
FIRST_PAUSE_S, PAUSE_S_MAX = 0.1, 0.8

#: What its pool says of a worker. unheard: the pool is silent. gone: left in good health, or of an earlier pool.
Fate = Literal["listed", "ended", "gone", "unheard"]
Told = Callable[[str, dict[str, object]], None]


def pause_after(failures: int) -> float:
    """Seconds before the next attempt after so many failures in a row."""
    return float(min(FIRST_PAUSE_S * 2 ** min(failures, 30), PAUSE_S_MAX))


async def addresses_of(place: HostPort) -> set[HostPort]:
    """Every address of a name; OSError where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    return set(_places(found))


def _places(found: Sequence[tuple[object, ...]]) -> Iterator[HostPort]:
    for *_, address in found:
        host, port = itertools.islice(address, 2)  # type: ignore[call-overload]
        yield HostPort(str(host), int(port))


@dataclass(slots=True)
class WorkerHost:
    """One pool. server: which of the known public keys is tried, or fits. Seconds of the loop's clock."""

    place: HostPort
    server: str
    link: WorkerLink | None = None
    heard: float = float("-inf")
    again_at: float = 0.0
    asked_at: float = float("-inf")
    failures: int = 0
    roll: Roll | None = None

    def silent(self, now: float) -> bool:
        return self.link is None or self.roll is None or now - self.heard > SILENCE_S_MAX

    def announcement(self, listed: Listed) -> Announcement:
        return Announcement(listed.slot, listed.generation, self.place.endpoint(1 + listed.slot), listed.pid)


@dataclass(slots=True)
class WorkerHosts:
    """places: as the settings name them. servers: names of hosts by their public keys. told: the log, not too often.

    changed: called whenever a pool has said something. addresses: looks a name up; OSError where it has none.
    """

    places: Sequence[HostPort]
    servers: dict[str, str]
    name: str
    secret: str = field(repr=False)
    links_max: int
    told: Told
    changed: Callable[[], None] = lambda: None
    connect: Callable[..., WorkerLink] = WorkerLink
    addresses: Callable[[HostPort], Awaitable[set[HostPort]]] = addresses_of
    hosts: dict[HostPort, WorkerHost] = field(default_factory=dict)
    where: dict[str, WorkerHost] = field(default_factory=dict)  # by generation, of all that a pool speaks of
    _keys: list[str] = field(init=False)
    _found: dict[HostPort, set[HostPort]] = field(default_factory=dict)
    _mark: str = field(default_factory=lambda: secrets.token_hex(8))
    _seldom: Seldom = field(default_factory=Seldom)
    _looked: float = 0.0

    def __post_init__(self) -> None:
        self._keys = list(self.servers)

    # Who works there

    def announced(self, now: float) -> dict[str, Announcement]:
        """The workers that this gateway is to be linked to, of all pools that are heard; by generation."""
        found = {
            one.endpoint: one
            for host in self.hosts.values()
            if host.roll is not None and not host.silent(now)
            for one in map(host.announcement, host.roll.workers)
            if self.where.get(one.generation) is host
        }
        return {found[place].generation: found[place] for place in subset(self.name, found, self.links_max)}

    def fate(self, generation: str, now: float) -> Fate:
        """What is known of a worker that was announced."""
        host = self.where.get(generation)
        if host is None:
            return "gone"
        assert host.roll is not None
        if generation in host.roll.ended:
            return "ended"
        if host.silent(now):
            return "unheard"
        return "listed" if any(one.generation == generation for one in host.roll.workers) else "gone"

    def credentials(self, generation: str) -> Credentials:
        return self._credentials(self.where[generation])

    # What time brings

    def resolve_pause(self) -> float:
        return RESOLVE_INTERVAL_S if len(self._found) == len(self.places) else RESOLVE_SOON_S

    async def resolve(self) -> None:
        """Looks names up. One without records is told and stands for what it stood for; addresses that are gone go."""
        for place in self.places:
            try:
                self._found[place] = await self.addresses(place)
            except OSError as error:
                self.tell("a name of FACE_API_WIRE_HOSTS has no address", {"name": place.host, "why": str(error)})

    @property
    def wanted(self) -> set[HostPort]:
        """Every pool that is to be reached, by its address."""
        return set().union(*self._found.values())

    def look(self, context: Context, now: float) -> None:
        """Opens links to pools that have none, asks those that have one. Time in which nobody looked is no silence."""
        absence = now - self._looked if self._looked and now - self._looked > ASK_INTERVAL_S else 0.0
        self._looked = now
        wanted = self.wanted
        for place in wanted - self.hosts.keys():
            self.hosts[place] = WorkerHost(place, self._keys[0])
        for host in list(self.hosts.values()):
            host.heard += absence
            if host.link is not None and max(host.heard, host.again_at) < now - SILENCE_S_MAX:
                self._lose(host, f"no sign of life for {SILENCE_S_MAX:g} s")
            if host.link is None and host.place not in wanted:
                self._drop(host)
            elif host.link is None and now >= host.again_at:
                self._open(host, context, now)
            elif host.link is not None and now - host.asked_at >= ASK_INTERVAL_S:
                self._ask(host, now)

    def close(self) -> None:
        for host in self.hosts.values():
            if host.link is not None:
                host.link.close()
        self.hosts.clear()

    def tell(self, event: str, facts: dict[str, object]) -> None:
        if self._seldom.may(f"{event} {facts}", asyncio.get_running_loop().time()):
            self.told(event, facts)

    # Links to pools

    def _open(self, host: WorkerHost, context: Context, now: float) -> None:
        announcement = Announcement(0, "", host.place.endpoint(), 0)
        host.again_at = now
        host.link = self.connect(context, announcement, self._heard, self._closed, self._credentials(host), self.odd)
        self._ask(host, now)

    def _credentials(self, host: WorkerHost) -> Credentials:
        """Hosts may share a name, and their processes an id: who comes back is known by more than that."""
        return Credentials(f"{self.name}.{self._mark}", self.secret, host.server)

    def _ask(self, host: WorkerHost, now: float) -> None:
        host.asked_at = now
        assert host.link is not None
        host.link.send(encode(RollCall(self.name)))

    def _heard(self, link: WorkerLink, message: ToGateway, _faces: Faces | None) -> None:
        host = self._of(link)
        if host is None or not isinstance(message, Roll):
            return
        if host.silent(now := asyncio.get_running_loop().time()):
            self.told(
                "a host of workers is reached", {"where": host.place.endpoint(), "key": self.servers[host.server]}
            )
        host.heard, host.failures, host.roll = now, 0, message
        told_of = {*(one.generation for one in message.workers), *(self.where.keys() & set(message.ended))}
        if strange := {one for one in told_of if one in self.where and self.where[one].server != host.server}:
            why = "it speaks of workers of a host with another key"
            self.tell("a host of workers is not believed", {"where": host.place.endpoint(), "why": why})
            told_of -= strange
        others = {generation: where for generation, where in self.where.items() if where is not host}
        self.where = others | dict.fromkeys(told_of, host)
        self.changed()

    def _closed(self, link: WorkerLink, why: str) -> None:
        host = self._of(link)
        if host is not None:
            self._lose(host, why)

    def _lose(self, host: WorkerHost, why: str) -> None:
        """It is tried again; with another key where several are known and none has fitted yet."""
        assert host.link is not None
        host.link.close()
        now, host.link = asyncio.get_running_loop().time(), None
        host.again_at, host.failures = now + pause_after(host.failures), host.failures + 1
        self.tell("a host of workers is not reached", {"where": host.place.endpoint(), "why": why})
        if host.failures > 1:
            host.server = self._keys[(self._keys.index(host.server) + 1) % len(self._keys)]
        self.changed()

    def odd(self, link: WorkerLink, error: WireError) -> None:
        self.tell("a host of workers cannot be understood", {"where": link.announcement.endpoint, "why": str(error)})

    def _of(self, link: WorkerLink) -> WorkerHost | None:
        return next((host for host in self.hosts.values() if host.link is link), None)

    def _drop(self, host: WorkerHost) -> None:
        """Its workers count as gone."""
        del self.hosts[host.place]
        self.where = {generation: where for generation, where in self.where.items() if where is not host}
