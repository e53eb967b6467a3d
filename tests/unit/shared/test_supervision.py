"""Background loops: none of them ends silently."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from shared import supervision
from shared.supervision import FAILURES_MAX, FIRST_PAUSE_S, PAUSE_S_MAX, Fate, Loops, finished
from tests.waiting import WAIT_S_MAX, until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE_S", 0.001)


@contextlib.asynccontextmanager
async def looping() -> AsyncIterator[Loops]:
    loops = Loops()
    async with asyncio.timeout(WAIT_S_MAX):
        yield loops
        await loops.aclose()


class Planted:
    """A round that fails as often as it is told to."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.failures, self.rounds, self.error = failures, 0, error or KeyError("planted")

    def __call__(self) -> None:
        self.rounds += 1
        if self.rounds <= self.failures:
            raise self.error

    async def later(self) -> None:
        await asyncio.sleep(0)
        self()


def test_pauses_grow_with_failures_in_a_row_up_to_a_bound_and_begin_anew_after_a_good_round() -> None:
    fate = Fate()
    pauses = [fate.failed(ValueError(), now) for now in range(2000)]
    assert pauses[:3] == [supervision.FIRST_PAUSE_S * factor for factor in (1, 2, 4)]
    assert pauses == sorted(pauses) and pauses[-1] == PAUSE_S_MAX
    fate.went_well()
    assert fate.failed(ValueError(), 0.0) == pauses[0] <= FIRST_PAUSE_S


def test_a_loop_is_failing_after_some_failures_in_a_row_and_says_since_when_and_of_what_kind() -> None:
    fate = Fate()
    for n in range(FAILURES_MAX):
        assert fate.failing(99.0) == ""
        fate.failed(ValueError("not for strangers"), 10.0 + n)
    assert fate.failing(40.0) == f"has failed {FAILURES_MAX} times in a row, for 30 s (ValueError)"
    fate.went_well()
    assert fate.failing(99.0) == ""


@pytest.mark.parametrize("error", [KeyError("planted"), asyncio.CancelledError(), TimeoutError()])
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_a_loop_survives_a_failed_round(
    error: BaseException, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with looping() as loops:
        planted = Planted(1, error)
        loops.keep("planted", planted if kind == "plain" else planted.later, 0.0)
        await until(lambda: planted.rounds > 3)
        assert loops.failures == {"planted": 1}
        assert loops.failing() == ""
    assert "the loop planted failed, 1 in a row" in caplog.text
    assert caplog.records[0].exc_info


async def test_a_rested_loop_begins_with_its_pause() -> None:
    async with looping() as loops:
        order: list[str] = []

        def pause() -> float:
            order.append("pause")
            return 0.0

        loops.keep("rested", lambda: order.append("round"), pause, rested=True)
        await until(lambda: len(order) >= 4)
        assert order[:4] == ["pause", "round", "pause", "round"]


async def test_a_loop_that_goes_on_failing_is_told_of_by_name_until_it_goes_well() -> None:
    async with looping() as loops:
        planted = Planted(8)
        loops.keep("well", lambda: None, 0.0)
        loops.keep("planted", planted, 0.0)
        await until(lambda: loops.failing() != "")
        assert loops.failing().startswith("the loop planted has failed")
        assert "KeyError" in loops.failing()
        await until(lambda: loops.failing() == "")
        assert planted.rounds > planted.failures


async def test_a_loop_that_somebody_cancelled_is_told_of() -> None:
    async with looping() as loops:
        loops.keep("planted", lambda: None, 0.0)
        task = next(task for task in asyncio.all_tasks() if task.get_name() == "planted")
        task.cancel()
        await asyncio.wait({task})
        assert loops.failing() == "the loop planted has ended"


async def test_a_log_that_cannot_be_written_ends_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async with looping() as loops:

        def broken_pipe(*_: object, **__: object) -> None:
            raise BrokenPipeError

        monkeypatch.setattr(loops._log, "error", broken_pipe)
        planted = Planted(2)
        loops.keep("planted", planted, 0.0)
        await until(lambda: planted.rounds > 3)
        assert loops.failures == {"planted": 2}


async def test_what_fails_in_a_timer_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with looping() as loops:
        loop = asyncio.get_running_loop()
        loops.hear_event_loop(loop)
        loop.call_later(0, Planted(1))
        await until(lambda: loops.failures == {"event_loop": 1})
    assert "Exception in callback" in caplog.text


async def test_work_with_an_end_is_begun_again_until_it_comes_to_it() -> None:
    planted, failed = Planted(3), list[BaseException]()

    async def five() -> int:
        planted()
        return 5

    assert await finished(five, failed.append) == 5
    assert failed == [planted.error] * 3


async def test_the_end_lets_the_round_in_hand_finish_and_begins_no_other() -> None:
    async with looping() as loops:
        begun, finished = asyncio.Event(), []

        async def a_while() -> None:
            begun.set()
            await asyncio.sleep(0.01)
            finished.append(True)

        loop = loops.keep("planted", a_while, 0.0)
        await begun.wait()
        await loop.end()
        assert finished == [True]
        assert loops.failing() == ""


async def test_the_end_waits_for_no_round_that_only_waits() -> None:
    async with looping() as loops:
        begun = asyncio.Event()

        async def for_ever() -> None:
            begun.set()
            await asyncio.Event().wait()

        loop = loops.keep("planted", for_ever, 0.0, last_round_s=0.0)
        await begun.wait()
        await loop.end()
