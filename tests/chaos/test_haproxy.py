"""The shipped HAProxy before two hosts: a host that freezes, dies or is cut off costs no request in flight its answer."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.chaos.client import Client
from tests.chaos.gallery import gallery
from tests.chaos.hosts import Cluster, two_hosts, what_lacks

#: Files like small photographs, and one like the largest that is served: it must fit into the balancer's buffer.
PICTURES = [*gallery(9, noise_bytes=60_000), *gallery(1, seed=1, noise_bytes=20 * 2**20 - 10_000)]
CLIENTS = 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if lacks := what_lacks():
        assert "CI" not in os.environ, lacks
        pytest.skip(lacks)
    with two_hosts() as both:
        yield both


@dataclass
class Load:
    """Clients that ask without a pause until they are told to stop; every answer is checked against its own picture."""

    cluster: Cluster
    statuses: Counter[int] = field(default_factory=Counter)
    stopping: bool = False

    async def one(self, number: int) -> None:
        client = Client(self.cluster.socket)
        for turn in itertools.count(number):
            known = PICTURES[turn % len(PICTURES)]
            answer = await client.detect(known.file)
            self.statuses[answer.status] += 1
            if answer.status == 200:
                assert not known.wrong(answer.json())
            if self.stopping:
                break
        client.close()

    async def through(self, fault: Callable[[], None], mended: Callable[[], None]) -> None:
        """The fault comes while requests are in flight on one host, and stays until every client was answered again."""
        await self.cluster.until_whole()
        moved = int(self.cluster.facts("one")["wredis"])
        clients = [asyncio.create_task(self.one(number)) for number in range(CLIENTS)]
        await asyncio.sleep(0.5)
        self.cluster.one.signal(signal.SIGSTOP)
        await asyncio.sleep(0.5)  # an answer that had left already is taken; what the host holds then stays with it
        while not int(self.cluster.facts("one")["scur"]):  # noqa: ASYNC110 — another process
            await asyncio.sleep(0.02)
        await asyncio.to_thread(fault)
        self.stopping = True
        await asyncio.gather(*clients)
        moved = int(self.cluster.facts("one")["wredis"]) - moved
        await asyncio.to_thread(mended)
        assert moved, "no request was in flight on the host when the fault came"
        assert set(self.statuses) == {200}, self.statuses


def test_requests_on_a_host_that_is_cut_off_are_answered_by_the_other(cluster: Cluster) -> None:
    def mended() -> None:
        cluster.one.connect()
        cluster.one.signal(signal.SIGCONT)

    asyncio.run(Load(cluster).through(cluster.one.cut_off, mended))


def test_requests_on_a_frozen_host_are_answered_by_the_other(cluster: Cluster) -> None:
    asyncio.run(Load(cluster).through(lambda: None, lambda: cluster.one.signal(signal.SIGCONT)))


def test_requests_on_a_killed_host_are_answered_by_the_other(cluster: Cluster) -> None:
    """The last one: the host stays dead."""
    asyncio.run(Load(cluster).through(cluster.one.kill, lambda: None))
