"""From one host's model to hosts, cores, cards, network and money for a wanted rate and p99. Pure."""

from __future__ import annotations

import math

from msgspec import Struct

from loadtest.client import arrival_times
from loadtest.measure import percentile
from loadtest.planning.check import capacity
from loadtest.planning.model import Cluster
from loadtest.planning.recording import Recording, costs_of

#: Beyond it a balancer and a Valkey for all are another design, and nothing here was checked against it.
RATE_MAX = 100_000.0
#: Two hosts stand for all: with more of them a balancer only does better.
HOSTS, REQUESTS, STEPS = 2, 6000, 8


class Wish(Struct, frozen=True, kw_only=True):
    """rate: requests a second. spare: hosts that may be away. Prices: an hour of one host and of one card."""

    rate: float
    p99_s: float
    spare: int = 1
    host_price: float = 0.0
    card_price: float = 0.0


class Plan(Struct, frozen=True, kw_only=True):
    """per_host: requests a second of one host when as many are away as may be. Network: into and out of all hosts."""

    wish: Wish
    per_host: float
    of_capacity: float
    p99_s: float
    busy: float
    hosts: int
    cores: int
    cards: int
    gbit_in: float
    gbit_out: float
    price_per_hour: float


class Curve(Struct, frozen=True):
    """What the model says of one host among others: p99 in seconds at each rate a host."""

    rates: list[float]
    p99_s: list[float]


def most(one: Recording) -> float:
    """Requests a second of one host that is never idle."""
    return capacity(one, 1, min(one.shape.max_queue, 4 * one.shape.places))


def at(one: Recording, rate: float, requests: int) -> tuple[float, float]:
    """(p99 in seconds, busy share of the cores) with so many requests a second for each host; none may be refused."""
    arrivals = arrival_times(rate * HOSTS, requests / rate / HOSTS, "poisson", 1)
    found = Cluster(one.shape, costs_of(one), HOSTS).open_loop(arrivals)
    return (math.inf if found.refused else percentile(found.latencies_s, 0.99)), found.busy


def curve(one: Recording) -> Curve:
    limit = most(one)
    rates = [limit * share for share in (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)]
    return Curve(rates, [at(one, rate, REQUESTS)[0] for rate in rates])


def planned(one: Recording, wish: Wish, requests: int = REQUESTS) -> Plan:
    """one: of one host. requests: simulated at each step. Raises ValueError with words where it cannot be had."""
    if not 0 < wish.rate <= RATE_MAX:
        raise ValueError(f"a rate is over 0 and at most {RATE_MAX:,.0f} requests/s")
    limit = most(one)
    low, high = 0.0, limit
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if at(one, middle, requests)[0] <= wish.p99_s else (low, middle)
    if not low:
        raise ValueError(f"one request takes longer than {wish.p99_s:g} s, whatever the number of hosts")
    p99_s, busy = at(one, low, requests)
    hosts = math.ceil(wish.rate / low) + wish.spare
    cards = hosts * one.shape.workers if one.shape.card else 0
    return Plan(
        wish=wish, per_host=low, of_capacity=low / limit, p99_s=p99_s, busy=busy, hosts=hosts,
        cores=hosts * one.shape.cores, cards=cards,
        gbit_in=wish.rate * one.request_bytes * 8e-9, gbit_out=wish.rate * one.answer_bytes * 8e-9,
        price_per_hour=hosts * wish.host_price + cards * wish.card_price,
    )  # fmt: skip
