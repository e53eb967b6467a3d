"""Processes, threads and batch from the machine; what the settings say goes first."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.settings import Settings
from worker.backoff import DELAY_S_MAX, Backoff
from worker.topology import GPU_MEMORY_MB_MIN, busy_with, capacity_of, choose_topology


@pytest.mark.parametrize(
    ("settings", "cores", "gpus", "expected"),
    [
        (Settings(), 2, 0, (2, 1, 1)),
        (Settings(), 1, 0, (1, 1, 1)),
        (Settings(workers=1), 4, 0, (1, 4, 1)),
        (Settings(workers=3), 2, 0, (3, 1, 1)),
        (Settings(worker_threads=2, workers=2), 8, 0, (2, 2, 1)),
        (Settings(), 4, 1, (1, 4, 16)),
        (Settings(), 16, 2, (2, 8, 16)),
        (Settings(), 16, 1, (2, 8, 16)),
        (Settings(), 17, 1, (3, 5, 16)),
        (Settings(), 64, 2, (8, 8, 16)),
        (Settings(), 256, 2, (8, 32, 16)),
        (Settings(role="workers"), 8, 1, (4, 2, 16)),
        (Settings(gpu_memory_limit_mb=700), 64, 1, (2, 32, 16)),
        (Settings(workers=1), 64, 4, (1, 64, 16)),
        (Settings(max_batch=4), 2, 0, (2, 1, 4)),
    ],
)
def test_topology(settings: Settings, cores: int, gpus: int, expected: tuple[int, int, int]) -> None:
    chosen = choose_topology(settings, cores, gpus, batch_invariant=True)
    assert (chosen.workers, chosen.threads, chosen.max_batch) == expected


@pytest.mark.parametrize(
    ("settings", "cores", "gpus", "lone"),
    [
        (Settings(gateway_processes=1), 1, 0, 1),
        (Settings(gateway_processes=1), 2, 0, 2),
        (Settings(gateway_processes=2), 8, 0, 4),
        (Settings(gateway_processes=4), 8, 0, 2),
        (Settings(gateway_processes=8), 64, 0, 4),
        (Settings(gateway_processes=1, lone_threads=1), 2, 0, 1),
        (Settings(gateway_processes=1, lone_threads=12), 16, 0, 12),
        (Settings(gateway_processes=1, workers=1), 16, 0, 16),
        (Settings(role="workers"), 16, 0, 1),
        (Settings(role="workers", lone_threads=3), 16, 0, 3),
        (Settings(gateway_processes=1), 16, 1, 1),
    ],
)
def test_a_lone_picture_gets_the_cores_that_a_gateway_may_count_on(
    settings: Settings, cores: int, gpus: int, lone: int
) -> None:
    chosen = choose_topology(settings, cores, gpus, batch_invariant=True)
    assert chosen.lone_threads == lone
    assert ("lone" in chosen.reason) == (lone > chosen.threads)


@pytest.mark.parametrize(
    ("max_batch", "depth", "together", "run_s", "expected"),
    [
        (16, 2, 6, 0.005, 48),
        (4, 1, 6, 0.04, 8),
        (1, 1, 6, 0.001, 8),
        (1, 1, 6, 0.01, 8),
        (1, 1, 6, 0.016, 5),
        (1, 1, 6, 0.2, 2),
        (1, 1, 1, 0.01, 2),
    ],
)
def test_a_worker_holds_what_runs_what_is_next_and_answers_that_wait_for_one_another(
    max_batch: int, depth: int, together: int, run_s: float, expected: int
) -> None:
    assert capacity_of(max_batch, depth, together, run_s) == expected


def test_a_cpu_is_busy_with_one_run_and_a_card_with_all_it_can_hold() -> None:
    assert busy_with(1, 8, "cpu") == 1
    assert busy_with(4, 12, "cpu") == 4
    assert busy_with(16, 48, "cuda:0") == 48


def test_a_model_that_mixes_pictures_is_served_one_by_one_and_says_why() -> None:
    chosen = choose_topology(Settings(max_batch=8), 2, 0, batch_invariant=False)
    assert chosen.max_batch == 1
    assert "mixes" in chosen.reason


def test_workers_take_the_cards_in_turn_and_without_a_card_the_cpu() -> None:
    two_cards = choose_topology(Settings(workers=4), 16, 2, batch_invariant=True)
    assert [two_cards.device_of(slot) for slot in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert choose_topology(Settings(), 2, 0, batch_invariant=True).device_of(1) == "cpu"


@pytest.mark.parametrize(("workers", "gpus", "part"), [(2, 2, 1000), (3, 2, 500), (4, 1, 250), (8, 0, 1000)])
def test_workers_of_a_card_share_what_networks_may_take_of_it(workers: int, gpus: int, part: int) -> None:
    settings = Settings(workers=workers, gpu_memory_limit_mb=1000)
    chosen = choose_topology(settings, 16, gpus, batch_invariant=True)
    if part < GPU_MEMORY_MB_MIN:
        with pytest.raises(ConfigurationError, match="too little for 4 workers"):
            chosen.told(settings)
    else:
        assert chosen.told(settings) == Settings(workers=workers, gpu_memory_limit_mb=part)


def test_a_worker_that_served_is_replaced_at_once() -> None:
    assert Backoff().after_death(served=True) == 0.0


def test_deaths_at_start_wait_longer_each_time_up_to_a_limit_and_are_forgiven() -> None:
    backoff = Backoff()
    delays = [backoff.after_death(served=False) for _ in range(9)]
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays[-1] == DELAY_S_MAX
    assert backoff.after_death(served=True) == 0.0
    assert backoff.after_death(served=False) == 0.5
