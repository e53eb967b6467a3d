"""What a worker costs beside its card: every picture is answered, and from its times follows how many a card wants."""

from __future__ import annotations

import pytest

from loadtest.card_workers import Cost, measured


def test_a_worker_without_a_network_answers_every_picture_and_tells_its_times() -> None:
    cost = measured(4, 0.01, 64, 40)
    assert cost.loop_ms > 0
    assert cost.socket_ms > 0
    assert 1 <= cost.batch <= 4


@pytest.mark.parametrize(
    ("cost", "workers"),
    [(Cost(0.5, 0.3, 16), 4), (Cost(0.25, 0.3, 16), 3), (Cost(0.25, 0.25, 16), 2), (Cost(0.01, 0, 1), 1)],
)
def test_the_slower_thread_of_a_worker_decides_how_many_a_card_wants(cost: Cost, workers: int) -> None:
    assert cost.workers(16, 2.0) == workers
