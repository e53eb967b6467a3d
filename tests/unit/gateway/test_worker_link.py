"""A link to a worker or a pool: what the other side says last, before it goes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import zmq

from gateway.dispatching.worker_link import WorkerLink
from shared.announcement import Announcement
from shared.messages import Hello, Roll
from shared.wire import encode


def test_what_was_said_last_is_heard_though_the_end_came_before_anybody_looked(tmp_path: Path) -> None:
    async def scenario() -> list[object]:
        heard: list[object] = []
        over = asyncio.Event()
        here: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        there: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        pool = there.socket(zmq.ROUTER)
        endpoint = f"ipc://{tmp_path}/pool"
        pool.bind(endpoint)
        link = WorkerLink(
            here, Announcement(0, "", endpoint, 0), lambda _link, message, _faces: heard.append(message),
            lambda _link, _why: over.set(),
        )  # fmt: skip
        link.send(encode(Hello("gateway")))
        name, *_ = await asyncio.to_thread(pool.recv_multipart)
        pool.send_multipart([name, *encode(Roll((), ("w.1",)))])
        pool.close(linger=1000)
        there.term()
        time.sleep(0.2)  # noqa: ASYNC251 — the loop is busy while libzmq's thread sees both
        await over.wait()
        here.term()
        return heard

    assert asyncio.run(scenario()) == [Roll((), ("w.1",))]
