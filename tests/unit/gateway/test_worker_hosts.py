"""Names of hosts of workers: each stands for all its addresses, and one that has none costs only itself."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.dispatching.worker_hosts import PAUSE_S_MAX, WorkerHost, WorkerHosts, pause_after
from shared.messages import Listed, Roll
from shared.split_rules import HostPort

ONE, TWO, NAME = HostPort("10.0.0.21", 7400), HostPort("10.0.0.22", 7400), HostPort("workers.internal", 7400)


async def test_a_name_is_all_its_addresses_and_one_without_any_is_told_and_stands_for_what_it_stood_for() -> None:
    known = {ONE: {ONE}}
    told: list[tuple[str, dict[str, object]]] = []

    async def looked_up(place: HostPort) -> set[HostPort]:
        if place not in known:
            raise OSError("no records")
        return known[place]

    hosts = WorkerHosts(
        [NAME, ONE], {"key": "workers"}, "g", "", 16, lambda *what: told.append(what), addresses=looked_up
    )
    soon = hosts.resolve_pause()
    await hosts.resolve()
    assert hosts.wanted == {ONE}
    assert told == [("a name of FACE_API_WIRE_HOSTS has no address", {"name": "workers.internal", "why": "no records"})]
    known[NAME] = {ONE, TWO}
    await hosts.resolve()
    assert hosts.wanted == {ONE, TWO}
    assert hosts.resolve_pause() > soon
    del known[NAME]
    await hosts.resolve()
    assert hosts.wanted == {ONE, TWO}
    known[NAME] = {TWO}
    known[ONE] = {ONE}
    await hosts.resolve()
    assert hosts.wanted == {ONE, TWO}


async def test_a_host_with_another_key_can_neither_bury_nor_take_over_the_workers_of_a_host() -> None:
    told: list[tuple[str, dict[str, object]]] = []
    now = asyncio.get_running_loop().time
    hosts = WorkerHosts([ONE, TWO], {"key": "ours", "other": "others"}, "g", "", 16, lambda *what: told.append(what))
    links: list[Any] = [object(), object()]  # two that are only told apart
    hosts.hosts = {ONE: WorkerHost(ONE, "key", links[0]), TWO: WorkerHost(TWO, "other", links[1])}
    hosts._heard(links[0], Roll((Listed(0, "w.1", 1),)), None)
    hosts._heard(links[1], Roll((Listed(0, "w.1", 1), Listed(1, "w.2", 1)), ("w.1",)), None)
    assert (hosts.fate("w.1", now()), hosts.fate("w.2", now())) == ("listed", "listed")
    assert {one.generation: one.endpoint for one in hosts.announced(now()).values()} == {
        "w.1": "tcp://10.0.0.21:7401",
        "w.2": "tcp://10.0.0.22:7402",
    }
    assert told[-1][0] == "a host of workers is not believed"
    hosts._heard(links[0], Roll((), ("w.1",)), None)
    assert hosts.fate("w.1", now()) == "ended"


def test_pauses_between_attempts_grow_and_end_at_a_bound() -> None:
    pauses = [pause_after(failures) for failures in range(100)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSE_S_MAX
