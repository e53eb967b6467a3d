"""The micro-batcher decides purely: what goes when, and why."""

from __future__ import annotations

from worker.micro_batch import MicroBatcher


def filled(count: int, max_batch: int, delay_s: float = 0.0) -> MicroBatcher[str]:
    batcher: MicroBatcher[str] = MicroBatcher(max_batch, delay_s)
    for number in range(count):
        batcher.add(number, f"picture {number}", now=float(number), expires=100.0)
    return batcher


def test_a_lone_request_goes_at_once() -> None:
    batcher = filled(1, max_batch=8)
    assert batcher.due_in(0.0) == 0.0
    batch = batcher.take(0.0)
    assert batch is not None
    assert ([waiting.item for waiting in batch.items], batch.reason) == (["picture 0"], "idle")


def test_what_waits_goes_together_up_to_the_limit_oldest_first() -> None:
    batcher = filled(5, max_batch=3)
    batch = batcher.take(9.0)
    assert batch is not None
    assert [waiting.item for waiting in batch.items] == ["picture 0", "picture 1", "picture 2"]
    assert batch.reason == "full"
    assert len(batcher) == 2


def test_a_delay_waits_for_company_from_the_oldest_on_and_no_longer() -> None:
    batcher = filled(2, max_batch=8, delay_s=5.0)
    assert batcher.due_in(3.0) == 2.0
    assert batcher.take(4.999) is None
    batch = batcher.take(5.0)
    assert batch is not None
    assert (len(batch.items), batch.reason) == (2, "delay")


def test_a_full_batch_never_waits_for_the_delay() -> None:
    assert filled(2, max_batch=2, delay_s=60.0).due_in(1.0) == 0.0


def test_nothing_waiting_is_never_due() -> None:
    batcher = filled(0, max_batch=2)
    assert batcher.due_in(0.0) is None
    assert batcher.take(0.0) is None


def test_the_cancelled_leave_and_the_others_stay() -> None:
    batcher = filled(3, max_batch=8)
    assert batcher.remove(1) == "picture 1"
    assert batcher.remove(1) is None
    batch = batcher.take(9.0)
    assert batch is not None
    assert [waiting.item for waiting in batch.items] == ["picture 0", "picture 2"]


def test_the_expired_are_taken_out_before_they_cost_a_run() -> None:
    batcher: MicroBatcher[str] = MicroBatcher(8, 0.0)
    batcher.add("late", "late", now=0.0, expires=1.0)
    batcher.add("fresh", "fresh", now=0.0, expires=2.0)
    assert batcher.drop_expired(1.0) == ["late"]
    assert batcher.waiting_keys() == ["fresh"]
