"""Halves of different releases say so, each by the other's name, instead of waiting for one another in silence."""

from __future__ import annotations

import asyncio

import zmq

from shared.messages import PROTOCOL_VERSION
from tests.integration.split.halves import houses, run, until
from worker.guard import Context

OTHER = bytes([PROTOCOL_VERSION + 3]) + b"\x92\xa8RollCall\xa1g"
WORDS = f"it speaks protocol {PROTOCOL_VERSION + 3}, this side {PROTOCOL_VERSION}: run one release on both"


def test_a_pool_and_a_worker_name_the_gateway_and_answer_so_that_it_can_tell() -> None:
    async def scenario() -> None:
        async with houses() as them:
            host = await them.workers(1)
            gateway = them.gateway(host)
            await until(lambda: gateway.serving == 1)
            context: Context = zmq.Context(1)
            for above in (0, 1):
                old = context.socket(zmq.DEALER)
                old.setsockopt(zmq.LINGER, 0)
                old.setsockopt(zmq.ROUTING_ID, b"old.gateway-1")
                old.setsockopt(zmq.CURVE_SECRETKEY, them.gateways_key.secret.encode())
                old.setsockopt(zmq.CURVE_PUBLICKEY, them.gateways_key.public.encode())
                old.setsockopt(zmq.CURVE_SERVERKEY, them.workers_key.public.encode())
                old.connect(f"tcp://127.0.0.1:{host.wire.near + above}")
                old.send(OTHER)
                await until(lambda old=old: bool(old.poll(0)))
                assert old.recv()[0] == PROTOCOL_VERSION
                old.close()
            context.term()
            await until(
                lambda: sum("old.gateway-1" in str(event) and WORDS in str(event) for event in host.events()) == 2
            )

    run(scenario())


def test_a_gateway_names_the_host_whose_pool_speaks_otherwise() -> None:
    async def scenario() -> None:
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
                    ("a host of workers cannot be understood", {"where": f"tcp://{place}", "why": WORDS})
                    in gateway.told
                )
            )
            await gateway.dispatcher.aclose()
            pool.close()
            context.term()

    run(scenario())
