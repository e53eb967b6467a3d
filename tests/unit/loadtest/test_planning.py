"""The planner's model against queues whose waits are known, and the bounds of batches, places and hosts."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from loadtest.client import arrival_times
from loadtest.planning.model import Cluster, Costs, Shape, Simulated

NUMBERS = 6_000


def nothing(_: random.Random) -> float:
    return 0.0


def fixed(seconds: float) -> Callable[..., float]:
    return lambda *_: seconds


def exponential(mean_s: float) -> Callable[[random.Random], float]:
    return lambda numbers: numbers.expovariate(1 / mean_s)


def costs(run: Callable[[random.Random, int], float], **more: Callable[[random.Random], float]) -> Costs:
    return Costs(**{"gateway": nothing, "decode": nothing, "hop": nothing, "mask": nothing} | more, run=run)


def cards(count: int, **more: object) -> Shape:
    """A host whose workers alone matter."""
    return Shape(**{"cores": 1, "decoders": 1, "workers": count, "card": True, "max_queue": 10**9} | more)


def asked(shape: Shape, what: Costs, rate: float, *, hosts: int = 1, number: int = NUMBERS) -> Simulated:
    return Cluster(shape, what, hosts, seed=1).open_loop(arrival_times(rate, number / rate, "poisson", 2))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_one_worker_whose_times_are_exponential_waits_as_m_m_1_does() -> None:
    found = asked(cards(1), costs(lambda numbers, _: numbers.expovariate(1.0)), 0.5)
    assert mean(found.latencies_s) == pytest.approx(1 / (1 - 0.5), rel=0.07)


def test_one_worker_of_a_fixed_time_waits_as_m_d_1_does() -> None:
    """Pollaczek and Khinchine: half the wait of M/M/1."""
    found = asked(cards(1), costs(fixed(1.0)), 0.6)
    assert mean(found.latencies_s) == pytest.approx(1 + 0.6 / (2 * (1 - 0.6)), rel=0.07)


def test_several_workers_of_a_fixed_time_wait_about_half_as_long_as_m_m_c_does() -> None:
    """Erlang's C of 4 workers at 3.2 requests in a second is 0.5964; the wait of M/D/c is about half of M/M/c's."""
    found = asked(cards(4), costs(fixed(1.0)), 3.2, number=20_000)
    of_m_m_c = 0.5964 / (4 - 3.2)
    assert mean(found.latencies_s) - 1 == pytest.approx(of_m_m_c / 2, rel=0.1)


def test_shared_cores_delay_as_processor_sharing_does_whatever_the_times_are() -> None:
    shape = Shape(cores=1, decoders=10**6, workers=10**3, max_queue=10**9)
    for decode in (fixed(1.0), exponential(1.0)):
        found = asked(shape, costs(fixed(0.0), decode=decode), 0.5, number=6000)
        assert mean(found.latencies_s) == pytest.approx(1 / (1 - 0.5), rel=0.08)


def test_a_full_house_of_fixed_workers_answers_what_they_can() -> None:
    found = Cluster(cards(3), costs(fixed(0.1))).closed_loop(20, seconds=60, warm_s=2)
    assert found.rate == pytest.approx(30, rel=0.01)


def test_batches_grow_with_the_load_and_never_over_their_bound() -> None:
    what = costs(lambda _, size: 0.01 + 0.001 * size)
    shape = cards(1, max_batch=8)
    quiet, busy = asked(shape, what, 20, number=500), asked(shape, what, 400, number=2000)
    assert mean(list(map(float, quiet.batches))) < 1.3 < mean(list(map(float, busy.batches)))
    assert max(busy.batches) == 8
    full = Cluster(shape, what).closed_loop(64, seconds=6, warm_s=1)
    assert full.rate == pytest.approx(8 / 0.018, rel=0.02)


def test_a_house_refuses_what_has_no_place() -> None:
    found = asked(cards(1, max_queue=4), costs(fixed(1.0)), 5, number=500)
    assert found.refused > 300
    assert max(found.latencies_s) <= 5


def test_two_hosts_answer_twice_as_many_no_later() -> None:
    what = costs(fixed(0.1))
    one, two = asked(cards(2), what, 16, number=3000), asked(cards(2), what, 32, hosts=2, number=6000)
    assert two.rate == pytest.approx(2 * one.rate, rel=0.05)
    assert mean(two.latencies_s) <= mean(one.latencies_s)


def test_a_balancer_that_draws_two_hosts_is_between_one_that_draws_one_and_one_queue_for_both() -> None:
    """M/D/1 at 0.6 when every host has its own share; one queue for two workers is the best there is."""
    what = costs(fixed(1.0))
    drawn = asked(cards(1), what, 1.2, hosts=2, number=20_000)
    together = asked(cards(2), what, 1.2, number=20_000)
    assert 1.05 * mean(together.latencies_s) < mean(drawn.latencies_s) < 0.9 * (1 + 0.6 / (2 * (1 - 0.6)))


def test_work_on_the_cores_is_counted() -> None:
    found = asked(Shape(cores=4, decoders=4, workers=4), costs(fixed(0.0), decode=fixed(0.02)), 100, number=2000)
    assert found.busy == pytest.approx(0.5, rel=0.05)
