"""Gateways and workers on different hosts: who is let in, and what becomes of requests when a link or a worker ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal

import pytest
import zmq

from gateway.dispatching import dispatch, roster, worker_hosts
from shared.errors import PoisonPicture
from tests.integration.asking import score
from tests.integration.split.halves import Pair, houses
from tests.stub_worker import KILL, NAP, NAP_AND_KILL, picture
from tests.waiting import WAIT_S_MAX, until

pytestmark = pytest.mark.uvloop


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine who is well may be silent for long: only where that is the test it counts."""
    monkeypatch.setattr(roster, "HANG_S_MIN", WAIT_S_MAX)
    monkeypatch.setattr(worker_hosts, "SILENCE_S_MAX", WAIT_S_MAX)
    monkeypatch.setattr(dispatch, "NO_WORKER_GRACE_S", WAIT_S_MAX)


async def test_a_reset_link_costs_no_request_and_blames_nobody_and_a_dead_worker_is_replaced() -> None:
    async with houses() as them:
        host = await them.workers(1)
        gateway = them.gateway(host)
        await until(lambda: gateway.serving == 1)
        for _ in range(3):
            asked = [gateway.ask(picture(value, NAP)) for value in (100, 101)]
            await gateway.running_on()
            host.wire.reset()
            assert [score(detection) for detection in await asyncio.gather(*asked)] == [100, 101]
        counts = gateway.dispatcher.counts
        assert (counts.workers_lost, counts.poisoned, host.deaths()) == (0, 0, 0)
        assert counts.relinked == 3
        assert gateway.links() == {"standing": 2, "doubted": 0, "cut": 0}
        assert gateway.dispatcher.quarantine._view.standings == {}
        os.kill(gateway.dispatcher.workers[0].pid, signal.SIGKILL)
        await until(lambda: counts.workers_lost == host.deaths() == 1)
        assert score(await gateway.ask(picture(103))) == 103


async def test_requests_of_a_link_that_stands_still_go_to_another_host_and_it_serves_again_when_it_is_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with houses() as them:
        near, far = await them.workers(1), await them.workers(1)
        gateway = them.gateway(near, far)
        await until(lambda: gateway.serving == 2)
        asked = [gateway.ask(picture(value, NAP)) for value in range(100, 104)]
        await gateway.running_on()
        far.wire.flows.clear()
        monkeypatch.setattr(roster, "HANG_S_MIN", 1.5)
        monkeypatch.setattr(worker_hosts, "SILENCE_S_MAX", 1.5)
        assert [score(detection) for detection in await asyncio.gather(*asked)] == list(range(100, 104))
        await until(lambda: gateway.serving == 1)
        await until(lambda: gateway.links() == {"standing": 2, "doubted": 0, "cut": 2})
        monkeypatch.setattr(roster, "HANG_S_MIN", WAIT_S_MAX)
        far.wire.flows.set()
        await until(lambda: gateway.serving == 2)
        counts = gateway.dispatcher.counts
        assert (counts.workers_lost, counts.poisoned, far.deaths()) == (0, 0, 0)


async def test_a_picture_that_kills_its_workers_kills_two_and_is_refused_since_their_pools_say_that_they_died() -> None:
    async with houses() as them:
        hosts = [await them.workers(2), await them.workers(1)]
        gateway = them.gateway(*hosts)
        await until(lambda: gateway.serving == 3)
        slow = [gateway.ask(picture(200, NAP)) for _ in range(3)]
        poison, neighbours = gateway.ask(picture(50, KILL)), [gateway.ask(picture(value)) for value in (90, 91)]
        with pytest.raises(PoisonPicture):
            await poison
        assert [score(detection) for detection in await asyncio.gather(*slow, *neighbours)] == [200] * 3 + [90, 91]
        assert sum(host.deaths() for host in hosts) == gateway.dispatcher.counts.workers_lost == 2
        with pytest.raises(PoisonPicture):
            await gateway.ask(picture(50, KILL))
        assert "its pool says that it ended" in gateway.why("worker lost")


async def test_workers_that_stop_in_good_order_finish_what_they_have_and_are_not_lost() -> None:
    async with houses() as them:
        leaving, staying = await them.workers(1), await them.workers(1)
        gateway = them.gateway(leaving, staying)
        await until(lambda: gateway.serving == 2)
        asked = [gateway.ask(picture(value, NAP)) for value in range(100, 104)]
        await gateway.running_on()
        leaving.pool.stopping.set()
        assert [score(detection) for detection in await asyncio.gather(*asked)] == list(range(100, 104))
        await until(lambda: gateway.serving == 1)
        assert gateway.dispatcher.counts.workers_lost == gateway.dispatcher.counts.redispatched == 0


async def test_a_worker_that_dies_of_a_picture_while_its_host_stops_is_told_of_and_the_picture_is_suspected() -> None:
    async with houses() as them:
        leaving = await them.workers(1)
        gateway = them.gateway(leaving)
        await until(lambda: gateway.serving == 1)
        asked = gateway.ask(picture(100, NAP_AND_KILL))
        await gateway.running_on()
        leaving.pool.stopping.set()
        await until(lambda: gateway.dispatcher.counts.workers_lost == 1)
        assert list(gateway.dispatcher.quarantine._view.standings.values()) == ["suspected"]
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


async def test_a_gateway_whose_key_is_not_allowed_is_refused_and_both_sides_say_so_until_it_is() -> None:
    async with houses() as them:
        host, stranger = await them.workers(1), Pair.new()
        gateway = them.gateway(host, key=stranger)
        await until(lambda: bool(gateway.why("a host of workers is not reached")))
        assert gateway.why("a host of workers is not reached") == [
            "this gateway's key is not in its FACE_API_WIRE_PEERS"
        ]
        words = f"refused a peer from 127.0.0.1: its key {stranger.public[:8]}… is not in FACE_API_WIRE_PEERS"
        await until(lambda: any(event["event"] == words for event in host.events()))
        # Two keys are good while one replaces the other.
        them.allowed.write_text(f"{them.gateways_key.public} old\n{stranger.public} new\n")
        await until(lambda: gateway.serving == 1)
        assert score(await gateway.ask(picture(100))) == 100


async def test_a_peer_that_shows_no_key_is_refused_and_told_of() -> None:
    async with houses() as them:
        host = await them.workers(1)
        with zmq.Context(1) as context, context.socket(zmq.DEALER) as stranger:
            stranger.setsockopt(zmq.LINGER, 0)
            stranger.connect(f"tcp://{host.place}")
            stranger.send(b"let me in")
            # On a busy machine its connection is gone before its address is looked up.
            words = r"refused a peer from (127\.0\.0\.1|an address that is gone): it has shown no key"
            await until(lambda: any(re.fullmatch(words, event["event"]) for event in host.events()))
            assert not stranger.poll(0)


async def test_a_gateway_that_knows_another_key_of_the_host_is_told_and_tries_every_key_it_is_given() -> None:
    async with houses() as them:
        next_key = Pair.new()
        host = await them.workers(1, key=next_key)
        gateway = them.gateway(host)
        await until(lambda: bool(gateway.why("a host of workers is not reached")))
        assert "another key" in gateway.why("a host of workers is not reached")[0]
        await until(lambda: any("another public key of this host" in event["event"] for event in host.events()))
        with them.servers.open("a") as file:
            file.write(f"{next_key.public} workers after the change\n")
        both = them.gateway(host)
        await until(lambda: both.serving == 1)
        assert ("a host of workers is reached", "workers after the change") in [
            (event, facts.get("key")) for event, facts in both.told
        ]
