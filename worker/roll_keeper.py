"""RollKeeper: the pool's port. It tells gateways of other hosts who works here, and it alone says who died.

a gateway asks every second → its answer; what changes is told at once to all who asked lately
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import zmq
import zmq.asyncio

from shared.announcement import Watch
from shared.messages import Listed, Roll
from shared.seldom import Seldom
from shared.settings import Settings
from shared.split_rules import bind_of
from shared.wire import HEADER_BYTES_MAX, OtherVersion, WireError, decode_to_pool, encode
from worker.guard import Guard

#: How often workers are looked for that have come, and how long a gateway that does not ask is told of changes.
LOOK_INTERVAL_S, TOLD_S = 0.2, 5.0
#: So many of the last deaths are told; gateways that were cut off for longer acquit the rest.
ENDED_MAX = 256
CALLERS_MAX = 10_000
#: When closing, for what was said last: that a worker died as its host stopped.
FAREWELL_MS = 500


@dataclass(slots=True)
class RollKeeper:
    """Opened and closed by the pool. pool: its process id, as workers' announcements have it. told: the log."""

    runtime_dir: Path
    pool: int
    told: Callable[[str], None]
    clock: Callable[[], float] = monotonic
    ended: deque[str] = field(default_factory=lambda: deque(maxlen=ENDED_MAX))
    _callers: dict[bytes, float] = field(default_factory=dict)
    _roll: Roll = field(default_factory=lambda: Roll(()))
    _seldom: Seldom = field(default_factory=Seldom)
    _watch: Watch = field(init=False)
    _socket: zmq.asyncio.Socket = field(init=False)
    _guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self._watch = Watch(self.runtime_dir)

    def open(self, settings: Settings, context: zmq.asyncio.Context) -> None:
        """Raises ConfigurationError where the keys or the address cannot be had."""
        plain: zmq.Context[zmq.Socket[bytes]] = zmq.Context.shadow(context.underlying)
        self._guard = Guard(plain, settings.wire_key, Path(settings.wire_peers), self.told)
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, FAREWELL_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, HEADER_BYTES_MAX)
        self._guard.bind(self._socket, bind_of(settings).endpoint())

    async def serve(self) -> None:
        """Answers for as long as the pool lives."""
        await asyncio.gather(self._answer(), self._look())

    def close(self) -> None:
        self._guard.close()
        self._socket.close()

    def died(self, generation: str) -> None:
        """A worker ended that should not have, however it ended."""
        self.ended.append(generation)
        self._tell_change()

    async def _answer(self) -> None:
        while True:
            caller, *frames = await self._socket.recv_multipart()
            self._hear(caller, frames)

    def _hear(self, caller: bytes, frames: list[bytes]) -> None:
        try:
            decode_to_pool(frames)
        except OtherVersion as error:
            self._complain(f"{caller.decode(errors='replace')} is not served: {error}")
        except WireError:
            return
        else:
            if caller in self._callers or len(self._callers) < CALLERS_MAX:
                self._callers[caller] = self.clock()
        self._send(caller)  # who speaks otherwise sees from this how we speak

    async def _look(self) -> None:
        while True:
            self._tell_change()
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _tell_change(self) -> None:
        fresh = self._present()
        if fresh == self._roll:
            return
        self._roll, now = fresh, self.clock()
        self._callers = {caller: at for caller, at in self._callers.items() if now - at < TOLD_S}
        for caller in self._callers:
            self._send(caller)

    def _present(self) -> Roll:
        ended = set(self.ended)
        here = [one for one in self._watch.announced(time.time()).values() if one.pool == self.pool]
        listed = [Listed(one.slot, one.generation, one.pid) for one in here if one.generation not in ended]
        return Roll(tuple(sorted(listed, key=lambda one: one.slot)), tuple(self.ended))

    def _send(self, caller: bytes) -> None:
        self._socket.send_multipart([caller, *encode(self._roll)], flags=zmq.DONTWAIT)

    def _complain(self, words: str) -> None:
        if self._seldom.may(words, self.clock()):
            self.told(words)
