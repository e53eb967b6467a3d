"""Findings of one host's gateways reach those of others through Valkey, and last as long there as at home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.dispatching import dispatch, roster, worker_hosts
from gateway.dispatching.quarantine import REMEMBERED_MAX, REMEMBERED_S, Finding, Standing, digest_of
from gateway.dispatching.quarantine_share import KEY, findings_of
from shared.errors import PoisonPicture
from tests.integration.access.servers import Valkey, valkey
from tests.integration.asking import score
from tests.integration.split.halves import GatewayHost, houses
from tests.stub_worker import KILL, picture
from tests.unit.gateway.test_quarantine import work
from tests.waiting import WAIT_S_MAX, until

pytestmark = pytest.mark.uvloop


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with valkey(tmp_path) as server:
        yield server


def poison(gateway: GatewayHost) -> bool:
    gateway.dispatcher.quarantine.standing(work(1), gateway.dispatcher.clock())
    return "poison" in gateway.dispatcher.quarantine._view.standings.values()


def standing(gateway: GatewayHost, value: int) -> Standing | None:
    return gateway.dispatcher.quarantine.standing(work(value), gateway.dispatcher.clock())


async def test_a_picture_that_kills_workers_kills_two_of_them_whichever_of_three_gateways_is_asked(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "HANG_S_MIN", WAIT_S_MAX)
    monkeypatch.setattr(worker_hosts, "SILENCE_S_MAX", WAIT_S_MAX)
    monkeypatch.setattr(dispatch, "NO_WORKER_GRACE_S", WAIT_S_MAX)
    async with houses() as them:
        host = await them.workers(2)
        gateways = [await them.sharing_gateway(server.url, host) for _ in range(3)]
        await until(lambda: all(gateway.serving == 2 for gateway in gateways))
        for gateway in gateways:
            with pytest.raises(PoisonPicture):
                await gateway.ask(picture(50, KILL))
            await until(lambda: all(poison(one) for one in gateways))
        assert host.deaths() == 2
        assert [gateway.dispatcher.counts.quarantined for gateway in gateways] == [0, 1, 1]
        assert score(await gateways[2].ask(picture(60))) == 60


async def test_what_one_host_finds_and_takes_back_the_others_hear_and_a_gateway_that_comes_later_too(
    server: Valkey,
) -> None:
    async with houses() as them:
        here, there = [await them.sharing_gateway(server.url) for _ in range(2)]
        now = here.dispatcher.clock()
        here.dispatcher.quarantine.note([work(1)], [work(2)], now)
        await until(lambda: (standing(there, 1), standing(there, 2)) == ("suspected", "poison"))
        suspect = work(1)
        digest_of(suspect)
        there.dispatcher.quarantine.acquit(suspect, now)
        await until(lambda: server.client().zcard(KEY) == 1)
        later = await them.sharing_gateway(server.url)
        await until(lambda: standing(later, 2) == "poison")
        assert 0 < server.client().pttl(KEY) <= REMEMBERED_S * 1000


async def test_while_the_server_is_gone_each_host_knows_its_own_and_tells_the_others_when_it_is_back(
    server: Valkey,
) -> None:
    async with houses() as them:
        here, there = [await them.sharing_gateway(server.url) for _ in range(2)]
        server.kill()
        here.dispatcher.quarantine.note([], [work(1)], here.dispatcher.clock())
        assert standing(here, 1) == "poison"
        await until(lambda: bool(here.complaints))
        assert standing(there, 1) is None
        server.restart()
        await until(lambda: standing(there, 1) == "poison")
        assert here.dispatcher.loops.failing() == ""


def test_what_crosses_is_time_left_so_that_clocks_of_hosts_need_not_agree() -> None:
    name = f"{digest_of(work(1)).hex()}.poison".encode()
    for now in (700.0, 1e6):
        assert findings_of([name, 1500], now) == [Finding(digest_of(work(1)), now - REMEMBERED_S + 1.5, "poison")]
    assert findings_of([b"nonsense", 1500, b"\xff.poison", 1], 700.0) == []


async def test_the_limit_of_findings_is_kept_on_the_server_too(server: Valkey) -> None:
    async with houses() as them:
        here = await them.sharing_gateway(server.url)
        now = here.dispatcher.clock()
        for number in range(REMEMBERED_MAX + 1):
            here.dispatcher.quarantine.noted(Finding(digest_of(work(number)), now + number / 100, "poison"))
        await until(lambda: server.client().zscore(KEY, f"{digest_of(work(REMEMBERED_MAX)).hex()}.poison") is not None)
        assert server.client().zcard(KEY) == REMEMBERED_MAX
