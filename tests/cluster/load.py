"""Clients that ask at a steady rate, and what became of every request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.chaos.client import Client, Lost, NotReached
from tests.chaos.gallery import Known


class Asked(NamedTuple):
    """One request. began, took: seconds of the loop's clock. became: `ok`, or what went wrong. size: bytes of the picture."""

    began: float
    took: float
    became: str
    size: int


@dataclass
class Load:
    """rate: requests a second over all clients; 0 asks again at once, without a pause. A late client does not catch up."""

    port: int
    pictures: Sequence[Known]
    clients: int
    rate: float = 0.0
    headers: str = ""
    asked: list[Asked] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(self._one(number)) for number in range(self.clients)]

    async def end(self) -> list[Asked]:
        """Every client has its last answer; all requests."""
        self._over.set()
        await asyncio.gather(*self._tasks)
        return self.asked

    async def _one(self, number: int) -> None:
        client, clock = Client(self.port), asyncio.get_running_loop().time
        pause = self.clients / self.rate if self.rate else 0.0
        due = clock() + pause * number / self.clients
        turn = number
        while not self._over.is_set():
            await asyncio.sleep(max(0.0, due - clock()))
            began = clock()
            known = self.pictures[turn % len(self.pictures)]
            became = await _asked(client, known, self.headers)
            self.asked.append(Asked(began, clock() - began, became, len(known.file)))
            due, turn = max(due + pause, clock()), turn + self.clients + 1
        client.close()


async def _asked(client: Client, known: Known, headers: str) -> str:
    try:
        answer = await client.detect(known.file, headers=headers)
    except (Lost, NotReached) as error:
        return f"lost: {type(error).__name__}"
    if answer.status != 200:
        return f"{answer.status} {answer.body[:120].decode(errors='replace')}"
    return known.wrong(answer.json()) or "ok"
