"""Halves of different releases say so, each by the other's name, instead of waiting for one another in silence."""

from __future__ import annotations

import asyncio

import pytest
import zmq

from shared.messages import PROTOCOL_VERSION
from shared.wire_keys import mark
from tests.integration.split.halves import Pair, houses
from tests.waiting import until
from worker.guard import Context

pytestmark = pytest.mark.uvloop

OTHER = bytes([PROTOCOL_VERSION + 3]) + b"\x92\xa8RollCall\xa1g"
WORDS = f"it speaks protocol {PROTOCOL_VERSION + 3}, this side {PROTOCOL_VERSION}: run one release on both"


async def test_a_pool_and_a_worker_name_the_gateway_and_answer_so_that_it_can_tell() -> None:
    async with houses() as them:
        while them.gateways_key.public[0].isalnum():  # names that begin so are told as well
            them.gateways_key = Pair.new()
        them.allowed.write_text(f"{them.gateways_key.public} gateways\n")
        host = await them.workers(1)
        gateway = them.gateway(host)
        await until(lambda: gateway.serving == 1)
        context: Context = zmq.Context(1)
        for above in (0, 1):
            old = context.socket(zmq.DEALER)
            old.setsockopt(zmq.LINGER, 0)
            old.setsockopt(zmq.ROUTING_ID, f"{mark(them.gateways_key.public)}.old.gateway-1".encode())
            old.setsockopt(zmq.CURVE_SECRETKEY, them.gateways_key.secret.encode())
            old.setsockopt(zmq.CURVE_PUBLICKEY, them.gateways_key.public.encode())
            old.setsockopt(zmq.CURVE_SERVERKEY, them.workers_key.public.encode())
            old.connect(f"tcp://127.0.0.1:{host.wire.near + above}")
            old.send(OTHER)
            await until(lambda old=old: bool(old.poll(0)))
            assert old.recv()[0] == PROTOCOL_VERSION
            old.close()
        context.term()
        await until(lambda: sum("old.gateway-1" in str(event) and WORDS in str(event) for event in host.events()) == 2)


async def test_a_gateway_names_the_host_whose_pool_speaks_otherwise() -> None:
    async with houses() as them:
        context: Context = zmq.Context(1)
        pool = context.socket(zmq.ROUTER)
        pool.setsockopt(zmq.LINGER, 0)
        pool.setsockopt(zmq.CURVE_SERVER, 1)
        pool.setsockopt(zmq.CURVE_SECRETKEY, them.workers_key.secret.encode())
        place = f"127.0.0.1:{pool.bind_to_random_port('tcp://127.0.0.1')}"
        gateway = them.gateway(place)
        asked = await asyncio.to_thread(pool.recv_multipart)
        pool.send_multipart([asked[0], OTHER])
        await until(
            lambda: (
                ("a host of workers cannot be understood", {"where": f"tcp://{place}", "why": WORDS}) in gateway.told
            )
        )
        await gateway.dispatcher.aclose()
        pool.close()
        context.term()


async def test_a_gateway_with_a_key_of_its_own_is_not_heard_under_the_name_of_another() -> None:
    async with houses() as them:
        host, other = await them.workers(1), Pair.new()
        them.allowed.write_text(f"{them.gateways_key.public} gateways\n{other.public} others\n")
        context: Context = zmq.Context(1)
        told = []
        for owner in (them.gateways_key, other):
            gateway = context.socket(zmq.DEALER)
            gateway.setsockopt(zmq.LINGER, 0)
            gateway.setsockopt(zmq.ROUTING_ID, f"{mark(owner.public)}.gateway-1".encode())
            gateway.setsockopt(zmq.CURVE_SECRETKEY, other.secret.encode())
            gateway.setsockopt(zmq.CURVE_PUBLICKEY, other.public.encode())
            gateway.setsockopt(zmq.CURVE_SERVERKEY, them.workers_key.public.encode())
            gateway.connect(f"tcp://127.0.0.1:{host.wire.near + 1}")
            gateway.send(OTHER)
            told.append(gateway)
        await until(lambda: bool(told[1].poll(0)))
        await until(lambda: any("that is a name of another key" in str(event) for event in host.events()))
        assert not told[0].poll(0)
        for gateway in told:
            gateway.close()
        context.term()
