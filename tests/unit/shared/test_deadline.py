"""Deadlines and the timers that are set for them."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from shared.deadline import Deadline


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_when_its_timer_fires_a_deadline_has_passed(loop_factory: type[asyncio.AbstractEventLoop]) -> None:
    """Many of them keep the loop awake, so that timers fire in the very millisecond they are for."""

    async def has_passed(begins_s: float) -> bool:
        await asyncio.sleep(begins_s)
        loop = asyncio.get_running_loop()
        deadline = Deadline.after(0.1, loop.time())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(deadline.at):
                await asyncio.Event().wait()
        return deadline.passed(loop.time())

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(has_passed(number * 0.0037) for number in range(200)))

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert all(runner.run(all_of_them()))


def test_a_deadline_passes_in_its_last_millisecond() -> None:
    deadline = Deadline.after(5.0, 100.0)
    assert [deadline.passed(now) for now in (100.0, 104.998, 104.9995, 105.0, 106.0)] == [
        False,
        False,
        True,
        True,
        True,
    ]
