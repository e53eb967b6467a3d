"""How a pool knows that a worker hangs: it asks the serving loop itself for signs of life, over the worker's socket.

The rule is pure (`Silence`); the asking around it does nothing but send, wait and tell.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import zmq
import zmq.asyncio

from shared.announcement import Announcement, announced
from shared.beat import to_next_beat
from shared.messages import Heartbeat
from shared.wire import WireError, decode_to_gateway, encode

ASK_INTERVAL_S = 1.0
LOOK_INTERVAL_S = 0.1
#: A worker that gives no sign for the larger of this and so many of its own batch times hangs.
HANG_S_MIN = 3.0
HANG_BATCHES = 5
#: Longest start: loading and warming a large network on a slow machine.
START_S_MAX = 600.0


@dataclass(slots=True)
class Silence:
    """Since when a worker gives no sign, and how long it may. Seconds; `now` is monotonic."""

    heard: float
    looked: float
    batch_s: float = 0.0

    @property
    def limit_s(self) -> float:
        return max(HANG_S_MIN, HANG_BATCHES * self.batch_s)

    def sign(self, now: float, batch_s: float) -> None:
        self.heard = self.looked = now
        self.batch_s = batch_s

    def too_long(self, now: float) -> bool:
        """Whether it hangs. Time in which the asker itself did not run is not the worker's silence."""
        if now - self.looked > 1.5 * ASK_INTERVAL_S:
            self.heard += now - self.looked
        self.looked = now
        return now - self.heard > self.limit_s


async def until_hung(context: zmq.asyncio.Context, runtime_dir: Path, generation: str, key: str = "") -> str:
    """Returns, in words, why this worker must be killed; runs on as long as it is well.

    key: the secret one that pool and workers share, where they listen for other hosts.
    """
    try:
        async with asyncio.timeout(START_S_MAX):
            announcement = await announced_as(runtime_dir, generation)
    except TimeoutError:
        return f"did not start in {START_S_MAX:.0f} s"
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    if key:
        own = zmq.curve_public(key.encode())
        socket.setsockopt(zmq.CURVE_SECRETKEY, key.encode())
        socket.setsockopt(zmq.CURVE_PUBLICKEY, own)
        socket.setsockopt(zmq.CURVE_SERVERKEY, own)
        socket.setsockopt(zmq.IPV6, int("[" in announcement.endpoint))
    socket.connect(announcement.endpoint)
    try:
        return await _ask(socket)
    finally:
        socket.close()


async def announced_as(runtime_dir: Path, generation: str) -> Announcement:
    """Waits until this worker can be reached."""
    while (announcement := announced(runtime_dir).get(generation)) is None:  # noqa: ASYNC110 — a file has no event
        await asyncio.sleep(LOOK_INTERVAL_S)
    return announcement


async def _ask(socket: zmq.asyncio.Socket) -> str:
    silence, sequence = Silence(monotonic(), monotonic()), 0
    while not silence.too_long(monotonic()):
        sequence += 1
        await socket.send_multipart(encode(Heartbeat(sequence)))
        while not await _answered(socket, sequence, silence) and not silence.too_long(monotonic()):
            pass
        await asyncio.sleep(to_next_beat(ASK_INTERVAL_S))
    return f"gave no sign of life for {silence.limit_s:.1f} s"


async def _answered(socket: zmq.asyncio.Socket, sequence: int, silence: Silence) -> bool:
    """Whether the sign that was asked for came within an interval; takes note of it."""
    if not await socket.poll(round(ASK_INTERVAL_S * 1000)):
        return False
    try:
        message, _ = decode_to_gateway(await socket.recv_multipart())
    except WireError:
        return False
    if not isinstance(message, Heartbeat):
        return False
    silence.sign(monotonic(), message.batch_s)
    return message.sequence == sequence
