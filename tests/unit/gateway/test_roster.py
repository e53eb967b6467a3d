"""The roster: a message that it fails on costs that message, not the link."""

from __future__ import annotations

import asyncio
from pathlib import Path

import zmq

from gateway.dispatching.roster import Known, Roster
from shared.announcement import Announcement
from shared.faces import Faces
from shared.messages import Grant, ToGateway
from shared.wire import encode
from tests.waiting import until


async def test_a_message_that_fails_is_told_and_those_behind_it_are_read(tmp_path: Path) -> None:
    heard: list[int] = []

    def hear(_known: Known, message: ToGateway, _faces: Faces | None) -> None:
        assert isinstance(message, Grant)
        heard.append(message.credits)
        if message.credits == 1:
            raise LookupError("planted")

    context = zmq.Context(1)
    worker = context.socket(zmq.ROUTER)
    worker.setsockopt(zmq.LINGER, 0)
    endpoint = f"ipc://{tmp_path}/worker.sock"
    worker.bind(endpoint)
    roster = Roster(tmp_path, "gateway", hear, lambda *_: None, lambda *_: None)
    roster.scan({"g": Announcement(0, "g", endpoint, 1)})
    gateway = (await asyncio.to_thread(worker.recv_multipart))[0]
    for credits_ in (1, 2, 3):
        worker.send_multipart([gateway, *encode(Grant(credits_))])
    await until(lambda: len(heard) >= 3)
    assert roster.loops.failures == {"worker_messages": 1}
    await roster.aclose()
    worker.close()
    context.term()
    assert heard == [1, 2, 3]
