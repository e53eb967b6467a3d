"""What is learned: the cost of a run, how a connection behaves."""

from __future__ import annotations

import pytest

from gateway.dispatching.cost_model import CostModel
from gateway.edge.conversation import Conversation, Patience


def test_the_cost_of_a_run_is_learned_as_a_line() -> None:
    cost = CostModel()
    assert (cost.known, cost.run_s(4)) == (False, 0.0)
    for count in (1, 2, 4, 8, 16) * 20:
        cost.learn(count, 0.003 * count + 0.010)
    assert cost.line() == pytest.approx((0.003, 0.010), rel=0.05)
    assert cost.run_s(16) == pytest.approx(0.058, rel=0.05)


def test_runs_of_one_size_give_a_cost_per_picture_and_the_past_is_forgotten() -> None:
    cost = CostModel()
    for _ in range(50):
        cost.learn(1, 1.0)
    for _ in range(600):
        cost.learn(1, 0.02)
    assert cost.run_s(1) == pytest.approx(0.02, rel=0.2)


PATIENCE = Patience(
    header_s=10, grace_s=10, upload_rate=100, download_rate=100, idle_s=75, linger_s=5, linger_bytes=50, drain_s=1
)


def test_a_silent_connection_is_closed_and_one_that_began_to_speak_is_told_why() -> None:
    silent, begun = Conversation(PATIENCE, 0.0), Conversation(PATIENCE, 0.0)
    begun.received_bytes(1, 9.9)
    assert [one.ending(10.0, 0, stopped=None) for one in (silent, begun)] == [None, None]
    assert silent.ending(10.1, 0, stopped=None) == "close"
    assert begun.ending(10.1, 0, stopped=None) == "late headers"


def test_a_body_must_keep_its_rate_after_the_grace_and_our_own_pauses_do_not_count() -> None:
    talk = Conversation(PATIENCE, 0.0)
    talk.enter("body", 0.0)
    assert talk.ending(10.0, 0, stopped=None) is None
    assert talk.ending(10.1, 0, stopped=None) == "late body"
    talk.received_bytes(1000, 10.0)
    assert talk.ending(20.0, 0, stopped=None) is None
    assert talk.ending(20.1, 0, stopped=None) == "late body"
    talk.paused(5.0)
    assert talk.ending(25.0, 0, stopped=None) is None


def test_idle_connections_go_after_their_time_and_not_while_answering() -> None:
    talk = Conversation(PATIENCE, 0.0)
    talk.enter("idle", 0.0)
    assert talk.ending(75.0, 0, stopped=None) is None
    assert talk.ending(75.1, 0, stopped=None) == "close"
    talk.answering = True
    assert talk.ending(500.0, 0, stopped=400.0) is None


def test_once_no_more_are_accepted_idle_connections_have_a_moment_and_unfinished_headers_two() -> None:
    idle, begun, late = (Conversation(PATIENCE, 0.0) for _ in range(3))
    idle.enter("idle", 0.0)
    begun.received_bytes(1, 0.0)
    late.enter("idle", 5.4)
    assert [one.ending(6.0, 0, stopped=5.0) for one in (idle, begun, late)] == [None] * 3
    assert [one.ending(6.1, 0, stopped=5.0) for one in (idle, begun, late)] == ["close", None, None]
    assert late.ending(6.5, 0, stopped=5.0) == "close"
    assert begun.ending(7.1, 0, stopped=5.0) == "late headers"


def test_lingering_ends_by_time_and_by_bytes() -> None:
    talk = Conversation(PATIENCE, 0.0)
    talk.enter("lingering", 0.0)
    assert talk.ending(5.0, 0, stopped=None) is None
    assert talk.ending(5.1, 0, stopped=None) == "close"
    talk.enter("lingering", 0.0)
    talk.received_bytes(51, 0.0)
    assert talk.ending(0.0, 0, stopped=None) == "close"


def test_a_reader_must_take_its_answer_at_the_least_rate() -> None:
    stuck, slow = (
        Conversation(PATIENCE, 0.0, "idle", answering=True),
        Conversation(PATIENCE, 0.0, "idle", answering=True),
    )
    endings = []
    for second in range(14):
        endings.append(stuck.ending(float(second), 10_000, stopped=None))
        assert slow.ending(float(second), 10_000 - 60 * second, stopped=None) is None
    assert endings[:11] == [None] * 11
    assert endings[-1] == "abort"
