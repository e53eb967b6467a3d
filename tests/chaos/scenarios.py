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
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.cpu_time import MachineTime, tree_cpu_seconds
from shared.processes import usable_cores
from tests.chaos.balancer import Balancer
from tests.chaos.client import Answer, Client, Lost, NotReached
from tests.chaos.gallery import Known, gallery, settings
from tests.chaos.storm import events_of
from tests.service import Service, running_service, start

#: Of leaving clients, and of phases with and without idle connections.
ROUNDS, PAIRS = 3, 5
#: Of those who left, so many may be inferred all the same: what workers hold and finish while eighty leave at once. The
#: faster the machine, the more.
WASTED_MAX = 0.15
#: FACE_API_HEADER_TIMEOUT as it is unless set.
HEADER_DEADLINE_S = 10.0


@dataclass
class Phase:
    """What clients saw in one stretch of time. Seconds. others: cores busy with neither the service nor its clients."""

    seconds: float = 0.0
    right: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    others: float = 0.0

    @property
    def rate(self) -> float:
        return self.right / self.seconds

    @property
    def speed(self) -> float:
        """Right answers a second for each core that nobody else used: what a noisy machine leaves comparable."""
        return self.rate / max(0.1, usable_cores() - self.others)

    def p95(self) -> float:
        return statistics.quantiles(self.waits, n=20)[-1] if len(self.waits) > 1 else 0.0

    def note(self, known: Known, answer: Answer, spent: float) -> None:
        self.statuses[answer.status] += 1
        if answer.status == 200:
            wrong = known.wrong(answer.json())
            assert not wrong, wrong
            self.right += 1
            self.waits.append(spent)


async def watched(service: Service, load: Awaitable[Phase]) -> Phase:
    """A phase of load that this process makes, with what else was busy meanwhile."""
    pid, own = service.process.pid, time.process_time()
    machine, ours = MachineTime.now(), tree_cpu_seconds(pid)
    phase = await load
    spent = MachineTime.now().busy - machine.busy - (tree_cpu_seconds(pid) - ours) - (time.process_time() - own)
    phase.others = max(0.0, spent / phase.seconds)
    return phase


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
    """Four of five clients leave in mid-request, over and over; then the first phase again. In rounds, against noise."""
    pictures, port = gallery(30), port_of(service)
    await closed_loop(port, pictures, 8, min(2.0, seconds))
    ratios, others, abandoned, answered, inferred = [], list[float](), 0, 0, 0
    for _ in range(ROUNDS):
        first = await watched(service, closed_loop(port, pictures, 8, seconds))
        before = await _inferred(service)
        left, stayed = await _burst(port, pictures, seconds)
        inferred += await _inferred(service) - before
        abandoned, answered = abandoned + left, answered + stayed
        again = await watched(service, closed_loop(port, pictures, 8, seconds))
        ratios.append(again.speed / first.speed)
        others += [first.others, again.others]
    wasted = max(0, inferred - answered)
    lines = [
        (
            f"{abandoned} requests abandoned, {answered} answered; inferred for nobody: {wasted}"
            f" ({wasted / max(1, abandoned):.3f} of the abandoned)"
        ),
        (
            f"answers a second and free core, after to before: {_listed(ratios)};"
            f" others kept {min(others):.2f} to {max(others):.2f} cores busy"
        ),
    ]
    return lines, abandoned > 0 and wasted < WASTED_MAX * abandoned and statistics.median(ratios) > 0.9


async def _inferred(service: Service) -> int:
    """How many pictures the workers have run, once what was counted has reached the metrics."""
    await asyncio.sleep(1.5)
    events = events_of(service)
    return events["answered"] + events["late_answers"]


async def _burst(port: int, pictures: list[Known], seconds: float) -> tuple[int, int]:
    """A hundred requests at a time, of which eighty leave; (abandoned, answered)."""
    abandoned, answered, end = 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        requests = [asyncio.create_task(_ask_once(port, pictures[number % 30])) for number in range(100)]
        await asyncio.sleep(0.05)
        for number, task in enumerate(requests):
            if number % 5 and not task.done():
                task.cancel()
                abandoned += 1
        answered += sum(result == 200 for result in await asyncio.gather(*requests, return_exceptions=True))
    return abandoned, answered


def _listed(ratios: list[float]) -> str:
    return f"{', '.join(f'{ratio:.2f}' for ratio in ratios)} (median {statistics.median(ratios):.2f})"


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
    ratios, lived = [], list[float]()
    for _ in range(PAIRS):
        without = await closed_loop(port, pictures, 4, seconds)
        async with idle_connections(port, count) as lives:
            beside = await closed_loop(port, pictures, 4, seconds)
            lived += await asyncio.gather(*lives)
        ratios.append(beside.p95() / without.p95())
    lines = [
        (
            f"{PAIRS} × {count} silent and dripping connections: all closed, the last {max(lived):.1f} s after it was opened"
            f" (deadline {HEADER_DEADLINE_S:g} s); good clients' p95 with and without them: {_listed(ratios)}"
        )
    ]
    return lines, max(lived) < HEADER_DEADLINE_S * 1.5 and statistics.median(ratios) < 1.25


@contextlib.asynccontextmanager
async def idle_connections(port: int, count: int) -> AsyncIterator[list[asyncio.Task[float]]]:
    """Half of them silent, half sending a byte of a header now and then; 200 to an address. How long each lives."""
    writers, lives = list[asyncio.StreamWriter](), list[asyncio.Task[float]]()
    for number in range(count):
        local = (f"127.0.2.{number // 200 + 1}", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=local)
        writers.append(writer)
        lives.append(asyncio.create_task(_life(reader)))
    dripping = asyncio.create_task(_drip(writers[::2]))
    try:
        yield lives
    finally:
        dripping.cancel()
        for writer in writers:
            writer.close()


async def _life(reader: asyncio.StreamReader) -> float:
    """Seconds until the server closes the connection. Raises TimeoutError when it never does."""
    began = time.monotonic()
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    return time.monotonic() - began


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
    clients = 8

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

    await asyncio.gather(*(one(offset) for offset in range(clients)))


def with_service(scenario: str, seconds: float, **more: object) -> tuple[list[str], bool]:
    """Runs one of the scenarios that need a single service."""
    with tempfile.TemporaryDirectory(prefix="fa-") as folder:
        path = Path(folder)
        with running_service(path, **settings(path, workers=2, **more)) as service:
            if scenario == "leavers":
                return asyncio.run(leavers(service, seconds))
            return asyncio.run(idlers(service, 2000, seconds))
