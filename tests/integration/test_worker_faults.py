"""Workers that die, hang or lie, as a gateway's dispatcher lives through it. Real processes and sockets, no network.

Each scenario runs on uvloop, the loop the gateway runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.dispatching import dispatch, roster
from gateway.dispatching.dispatch import Dispatcher
from gateway.pictures.crop_memory import CropMemory
from shared import announcement
from shared.errors import DeadlineExceeded, DetectionFailed, NoWorker, PoisonPicture
from tests.integration.asking import Asked, score
from tests.service import ROOT
from tests.stub_worker import BREAK, KILL, NAP, NAP_AND_KILL, RAISE, picture
from tests.waiting import WAIT_S_MAX, until

pytestmark = pytest.mark.uvloop

#: Generous: a stub worker imports the runtime and starts in about a second.
START_S_MAX = 60.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a worker may say nothing, or take to start, for long: only where that is the test it counts."""
    monkeypatch.setattr(roster, "HANG_S_MIN", WAIT_S_MAX)
    monkeypatch.setattr(dispatch, "NO_WORKER_GRACE_S", WAIT_S_MAX)


@dataclass
class Bench(Asked):
    """A dispatcher and its stub workers."""

    runtime_dir: Path
    max_batch: int
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    async def spawn(self, count: int = 1) -> list[str]:
        generations = [f"g{next(self.numbers)}" for _ in range(count)]
        for generation in generations:
            self.processes[generation] = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.stub_worker", str(self.runtime_dir), generation, str(self.max_batch), cwd=ROOT
            )  # fmt: skip
        return generations

    async def start(self, count: int = 1) -> list[str]:
        """The same, and waits until they serve."""
        generations = await self.spawn(count)
        await until(lambda: set(generations) <= {worker.generation for worker in self.dispatcher.workers}, START_S_MAX)
        return generations

    def signal(self, generation: str, number: signal.Signals) -> None:
        os.kill(self.processes[generation].pid, number)

    async def die(self, generation: str) -> None:
        self.signal(generation, signal.SIGKILL)
        await self.processes[generation].wait()
        announcement.withdraw(self.runtime_dir, generation)
        await until(lambda: generation not in self.dispatcher.roster.known)

    def ended(self) -> int:
        """How many workers ended by themselves."""
        return sum(process.returncode is not None for process in self.processes.values())

    async def dead(self, count: int) -> None:
        """Waits until so many workers ended by themselves, and tidies up as the pool does."""
        await until(lambda: self.ended() >= count)
        for generation, process in self.processes.items():
            if process.returncode is not None:
                announcement.withdraw(self.runtime_dir, generation)


@asynccontextmanager
async def bench(workers: int, max_batch: int = 1) -> AsyncIterator[Bench]:
    runtime_dir = Path(tempfile.mkdtemp(prefix="fa-"))
    announcement.folder(runtime_dir).mkdir()
    told: list[tuple[str, dict[str, object]]] = []
    crops = CropMemory()
    dispatcher = Dispatcher(runtime_dir, "test", lambda event, facts: told.append((event, facts)), crops=crops)
    dispatcher.open()
    made = Bench(dispatcher, runtime_dir, max_batch, told=told)
    try:
        await made.start(workers)
        yield made
    finally:
        await dispatcher.aclose()
        crops.close()
        for process in made.processes.values():
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            await process.wait()
        shutil.rmtree(runtime_dir)


async def test_workers_read_crops_where_they_lie_and_a_killed_one_leaves_none_lent() -> None:
    async with bench(2) as it:
        assert it.dispatcher.crops is not None
        assert [worker.reads_crops for worker in it.dispatcher.workers] == [True, True]
        asked = [it.ask(picture(value, NAP)) for value in range(100, 104)]
        victim = await it.running_on()
        assert it.dispatcher.crops.lent_bytes > 0
        it.signal(victim, signal.SIGKILL)
        assert [score(detection) for detection in await asyncio.gather(*asked)] == list(range(100, 104))
        asked.clear()
        await until(lambda: it.dispatcher.crops is not None and it.dispatcher.crops.lent_bytes == 0)


async def test_a_worker_killed_in_mid_run_is_noticed_by_its_socket_and_its_request_answered_by_another() -> None:
    async with bench(2) as it:
        asked = it.ask(picture(100, NAP))
        victim = await it.running_on()
        it.signal(victim, signal.SIGKILL)
        await until(lambda: it.dispatcher.counts.workers_lost == 1)
        assert score(await asked) == 100
        assert it.dispatcher.counts.redispatched == 1
        assert it.told == [("worker lost", it.told[0][1])]
        assert "socket closed" in str(it.told[0][1]["why"])


async def test_the_answers_of_a_stopped_worker_come_from_another_and_its_own_late_ones_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench(2) as it:
        brightness = range(100, 104)
        asked = [it.ask(picture(value, NAP)) for value in brightness]
        victim = await it.running_on()
        it.signal(victim, signal.SIGSTOP)
        monkeypatch.setattr(roster, "HANG_S_MIN", 3.0)
        assert [score(detection) for detection in await asyncio.gather(*asked)] == list(brightness)
        assert it.dispatcher.counts.redispatched >= 1
        it.signal(victim, signal.SIGCONT)
        await until(lambda: it.dispatcher.counts.late_answers >= 1)
        await until(lambda: len(it.dispatcher.workers) == 2)
        later = [it.ask(picture(value)) for value in range(8, 58)]
        assert [score(detection) for detection in await asyncio.gather(*later)] == list(range(8, 58))


async def test_a_picture_that_kills_its_workers_kills_two_is_refused_and_its_neighbours_come_through() -> None:
    async with bench(3, max_batch=4) as it:
        slow = [it.ask(picture(200, NAP)) for _ in range(3)]
        neighbours = [it.ask(picture(value)) for value in range(100, 109)]
        poison = it.ask(picture(50, KILL))
        more = [it.ask(picture(value)) for value in range(110, 119)]
        with pytest.raises(PoisonPicture):
            await poison
        scores = [score(detection) for detection in await asyncio.gather(*slow, *neighbours, *more)]
        assert scores == [200] * 3 + [*range(100, 109), *range(110, 119)]
        await it.dead(2)
        assert it.dispatcher.counts.workers_lost == 2
        assert it.dispatcher.counts.poisoned == 1
        with pytest.raises(PoisonPicture):
            await it.ask(picture(50, KILL))
        assert it.dispatcher.counts.quarantined == 1
        assert len(it.dispatcher.workers) == 1


async def test_copies_of_a_picture_that_waited_while_it_killed_two_workers_kill_no_third() -> None:
    async with bench(1) as it:
        copies = [it.ask(picture(50, KILL)) for _ in range(6)]
        await it.dead(1)
        await it.spawn(1)
        await it.dead(2)
        await it.start(1)
        for copy in copies:
            with pytest.raises(PoisonPicture):
                await copy
        assert score(await it.ask(picture(60))) == 60
        counts = it.dispatcher.counts
        assert (counts.workers_lost, counts.poisoned, counts.quarantined) == (2, 1, 5)


async def test_a_request_is_not_blamed_for_workers_that_are_killed_while_it_waits_in_them() -> None:
    async with bench(3) as it:
        slow = [it.ask(picture(200, NAP)) for _ in range(3)]
        waiting = [it.ask(picture(100 + number)) for number in range(3)]
        for _ in range(2):
            await it.die(await it.running_on())
        assert [score(detection) for detection in await asyncio.gather(*waiting)] == [100, 101, 102]
        assert await asyncio.gather(*slow)
        assert it.dispatcher.counts.poisoned == 0


async def test_an_exception_in_a_run_fails_its_own_picture_only() -> None:
    async with bench(1, max_batch=4) as it:
        first = it.ask(picture(99, NAP))
        good = [it.ask(picture(value)) for value in (101, 102, 103)]
        bad = it.ask(picture(50, RAISE))
        with pytest.raises(DetectionFailed):
            await bad
        assert [score(detection) for detection in await asyncio.gather(first, *good)] == [99, 101, 102, 103]
        assert it.dispatcher.counts.workers_lost == 0


async def test_a_worker_whose_network_cannot_run_any_more_ends_and_its_request_goes_elsewhere() -> None:
    async with bench(2) as it:
        with pytest.raises(PoisonPicture):
            await it.ask(picture(50, BREAK))  # breaks the second one too
        await it.dead(2)
        await it.start(1)
        assert score(await it.ask(picture(60))) == 60


async def test_without_a_worker_requests_wait_a_moment_for_one_and_are_then_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench(1) as it:
        await it.die("g0")
        asked = it.ask(picture(70))
        await it.start(1)
        assert score(await asked) == 70
        monkeypatch.setattr(dispatch, "NO_WORKER_GRACE_S", 3.0)
        await it.die("g1")
        with pytest.raises(DeadlineExceeded):
            await it.ask(picture(70), left_s=0.2)
        waiting = it.ask(picture(70))  # with minutes left
        with pytest.raises(NoWorker):
            await waiting
        with pytest.raises(NoWorker):
            await it.ask(picture(70))
        assert it.dispatcher.queue.waiting == 0


async def test_a_picture_whose_client_leaves_before_it_ends_its_workers_is_blamed_all_the_same() -> None:
    async with bench(1) as it:
        for number in range(2):
            while it.ended() <= number:  # a caller who left before the worker had begun asks again
                leaving = it.ask(picture(50, NAP_AND_KILL))
                await until(lambda ended=number + 1: it.dispatcher.queue.in_hand or it.ended() >= ended)
                await asyncio.sleep(0.1)
                leaving.cancel()
                with contextlib.suppress(TimeoutError):
                    await until(lambda ended=number + 1: it.ended() >= ended, seconds=3)
            await it.dead(number + 1)
            await it.start(1)
        with pytest.raises(PoisonPicture):
            await it.ask(picture(50, NAP_AND_KILL))
        assert score(await it.ask(picture(60))) == 60
        assert it.dispatcher.counts.workers_lost == 2


async def test_an_expired_or_abandoned_request_is_never_run() -> None:
    async with bench(1) as it:
        busy = [it.ask(picture(200, NAP)) for _ in range(2)]
        expiring = it.ask(picture(50, KILL), left_s=0.1)
        abandoned = [it.ask(picture(50, KILL)) for _ in range(5)]
        await asyncio.sleep(0)  # they wait behind two that nap
        for task in abandoned:
            task.cancel()
        with pytest.raises(DeadlineExceeded):
            await expiring
        await asyncio.gather(*busy)
        assert score(await it.ask(picture(90))) == 90
        assert it.dispatcher.counts.cancelled == 5
        assert it.dispatcher.counts.workers_lost == 0
        assert it.dispatcher.queue.waiting == it.dispatcher.queue.in_hand == 0


async def test_a_gateway_that_stood_still_does_not_blame_its_workers() -> None:
    async with bench(2) as it:
        loop = asyncio.get_running_loop()
        it.dispatcher.roster.beat(loop.time() + 60)
        assert len(it.dispatcher.workers) == 2
        assert it.dispatcher.counts.workers_lost == 0


async def test_a_worker_that_is_asked_to_stop_answers_what_it_has_and_is_not_counted_as_lost() -> None:
    async with bench(2) as it:
        asked = [it.ask(picture(value, NAP)) for value in range(100, 104)]
        leaving = await it.running_on()
        it.signal(leaving, signal.SIGTERM)
        assert [score(detection) for detection in await asyncio.gather(*asked)] == [100, 101, 102, 103]
        await until(lambda: leaving not in it.dispatcher.roster.known)
        assert await it.processes[leaving].wait() == 0
        assert it.dispatcher.counts.workers_lost == it.dispatcher.counts.redispatched == 0
        assert score(await it.ask(picture(77))) == 77


async def test_fifty_kills_leave_no_socket_thread_or_process_behind() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with bench(2, max_batch=2) as it:
        await asyncio.gather(*[it.ask(picture(value)) for value in range(8, 30)])
        before = descriptors()
        for number in range(50):
            it.dispatcher.roster.scan(announcement.announced(it.runtime_dir))
            generation = f"x{number}"
            # A socket that a dead process left: the link finds nobody behind it.
            path = announcement.socket_path(it.runtime_dir, generation)
            announcement.announce(
                it.runtime_dir, announcement.Announcement(0, generation, f"ipc://{path}", os.getpid())
            )
            it.dispatcher.roster.scan(announcement.announced(it.runtime_dir))
            await until(lambda: len(it.dispatcher.roster.known) == 2)
            announcement.withdraw(it.runtime_dir, generation)
        assert score(await it.ask(picture(77))) == 77
        assert descriptors() <= before + 4
