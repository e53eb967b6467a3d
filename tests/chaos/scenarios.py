"""Clients that leave, idle connections, a rolling restart: what each shows, as a line and a verdict.

Each scenario gets its own service with the beacon network and compares phases of one run on one machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.balancer import Balancer
from tests.chaos.client import Answer, Client, Lost, NotReached
from tests.chaos.gallery import Known, gallery, settings
from tests.chaos.storm import events_of
from tests.service import Service, running_service, start


@dataclass
class Phase:
    """What clients saw in one stretch of time. Seconds."""

    seconds: float = 0.0
    right: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.right / self.seconds

    def p95(self) -> float:
        return statistics.quantiles(self.waits, n=20)[-1] if len(self.waits) > 1 else 0.0

    def note(self, known: Known, answer: Answer, spent: float) -> None:
        self.statuses[answer.status] += 1
        if answer.status == 200:
            wrong = known.wrong(answer.json())
            assert not wrong, wrong
            self.right += 1
            self.waits.append(spent)


async def closed_loop(port: int, pictures: list[Known], clients: int, seconds: float, headers: str = "") -> Phase:
    """So many clients, each asking again as soon as it was answered."""
    phase, end = Phase(), time.monotonic() + seconds

    async def one(number: int) -> None:
        client, turn = Client(port), number
        while time.monotonic() < end:
            known, began, turn = pictures[turn % len(pictures)], time.monotonic(), turn + 1
            try:
                phase.note(known, await client.detect(known.file, headers=headers), time.monotonic() - began)
            except (Lost, NotReached) as error:
                phase.failed[type(error).__name__] += 1
        client.close()

    began = time.monotonic()
    await asyncio.gather(*(one(number) for number in range(clients)))
    phase.seconds = time.monotonic() - began
    return phase


def port_of(service: Service) -> int:
    return int(service.url.rsplit(":", 1)[1])


async def leavers(service: Service, seconds: float) -> tuple[list[str], bool]:
    """Four of five clients leave in mid-request, over and over; then the first phase again."""
    pictures, port = gallery(30), port_of(service)
    await closed_loop(port, pictures, 8, min(2.0, seconds))
    first = await closed_loop(port, pictures, 8, seconds)
    await asyncio.sleep(1.5)
    before = events_of(service)
    abandoned, answered, end = 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        requests = [asyncio.create_task(_ask_once(port, pictures[number % 30])) for number in range(100)]
        await asyncio.sleep(0.05)
        for number, task in enumerate(requests):
            if number % 5 and not task.done():
                task.cancel()
                abandoned += 1
        answered += sum(result == 200 for result in await asyncio.gather(*requests, return_exceptions=True))
    await asyncio.sleep(1.5)
    after = events_of(service)
    inferred = after["answered"] + after.get("late_answers", 0) - before["answered"] - before.get("late_answers", 0)
    wasted = max(0.0, inferred - answered)
    again = await closed_loop(port, pictures, 8, seconds)
    lines = [
        (
            f"{abandoned} requests abandoned, {answered} answered; inferred for nobody: {wasted:.0f}"
            f" ({wasted / max(1, abandoned):.3f} of the abandoned); next phase at {again.rate / first.rate:.2f} of the first"
        )
    ]
    return lines, abandoned > 0 and wasted < 0.1 * abandoned and again.rate > 0.8 * first.rate


async def _ask_once(port: int, known: Known) -> int:
    client = Client(port)
    try:
        return (await client.detect(known.file)).status
    finally:
        client.close()


async def idlers(service: Service, count: int, seconds: float) -> tuple[list[str], bool]:
    """Silent and dripping connections beside good clients, in turns with and without them."""
    pictures, port = gallery(30), port_of(service)
    await closed_loop(port, pictures, 4, min(2.0, seconds))
    ratios, unclosed = [], 0
    for _ in range(3):
        without = await closed_loop(port, pictures, 4, seconds)
        async with idle_connections(port, count) as connections:
            beside = await closed_loop(port, pictures, 4, seconds)
            async with asyncio.timeout(60):
                ends = await asyncio.gather(*(reader.read() for reader, _ in connections), return_exceptions=True)
            unclosed += sum(isinstance(end, TimeoutError) for end in ends)
        ratios.append(beside.p95() / without.p95())
    lines = [
        f"3 × {count} silent and dripping connections: {unclosed} not closed; good clients' p95 with and without them: "
        + ", ".join(f"{ratio:.2f}" for ratio in ratios)
    ]
    return lines, unclosed == 0 and statistics.median(ratios) < 1.25


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def idle_connections(port: int, count: int) -> AsyncIterator[list[Streams]]:
    """Half of them silent, half sending a byte of a header now and then; 200 to an address."""
    connections: list[Streams] = []
    for number in range(count):
        local = (f"127.0.2.{number // 200 + 1}", 0)
        connections.append(await asyncio.open_connection("127.0.0.1", port, local_addr=local))
    dripping = asyncio.create_task(_drip([writer for _, writer in connections[::2]]))  # noqa: RUF006 — cancelled below
    try:
        yield connections
    finally:
        dripping.cancel()
        for _, writer in connections:
            writer.close()


async def _drip(writers: list[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.write(b"POST /api/v1/detect HTTP/1.1\r\nX-Slow: ")
    for turn in itertools.count():
        await asyncio.sleep(0.05)
        for writer in writers[turn % 20 :: 20]:
            if not writer.is_closing():
                writer.write(b"a")


async def rolling(folder: Path, rate: float, rounds: int = 1) -> tuple[list[str], bool]:
    """Two instances behind a small balancer, each stopped and started again, at a load that one can carry."""
    wanted = settings(folder, workers=1, drain_delay=2.0)
    pictures, phase = gallery(30), Phase()
    services = [start(folder / str(number), **wanted) for number in range(2)]
    try:
        await asyncio.gather(*(asyncio.to_thread(service.ready.wait, 120) for service in services))
        async with Balancer([port_of(service) for service in services]) as balancer:
            over = asyncio.Event()
            load = asyncio.create_task(_steady(balancer.port, pictures, rate, over, phase))
            for number in [0, 1] * rounds:
                await asyncio.sleep(2.0)
                old = services[number]
                code = await asyncio.to_thread(old.stop)
                await asyncio.to_thread(old.close)
                assert code == 0, old.output
                services[number] = start(folder / str(number), **wanted | {"port": balancer.ports[number]})
                await asyncio.to_thread(services[number].ready.wait, 120)
                await balancer.until_all_ready()
            await asyncio.sleep(1.0)
            over.set()
            await load
    finally:
        for service in services:
            if service.process.poll() is None:
                service.stop()
            service.close()
    lines = [f"rolling restart: {phase.right} answered rightly, {dict(phase.statuses)}, failed {dict(phase.failed)}"]
    return lines, phase.right > 0 and set(phase.statuses) == {200} and not phase.failed


async def _steady(port: int, pictures: list[Known], rate: float, over: asyncio.Event, phase: Phase) -> None:
    clients, number = 4, 0

    async def one(turn: int) -> None:
        client = Client(port)
        while not over.is_set():
            known, began, turn = pictures[turn % len(pictures)], time.monotonic(), turn + 1
            try:
                phase.note(known, await client.detect(known.file), time.monotonic() - began)
            except (Lost, NotReached) as error:
                phase.failed[repr(error)] += 1
            await asyncio.sleep(clients / rate)
        client.close()

    await asyncio.gather(*(one(number + offset) for offset in range(clients)))


def with_service(scenario: str, seconds: float, **more: object) -> tuple[list[str], bool]:
    """Runs one of the scenarios that need a single service."""
    with tempfile.TemporaryDirectory(prefix="fa-") as folder:
        path = Path(folder)
        with running_service(path, **settings(path, workers=2, **more)) as service:
            if scenario == "leavers":
                return asyncio.run(leavers(service, seconds))
            return asyncio.run(idlers(service, 2000, seconds))
