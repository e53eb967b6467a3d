"""Hosts of the service in simulated time: admission, read, decoders, workers that batch, masks, the cores under all.

Less than the service: requests cost alike but for chance, nobody hangs up, and who waits goes in the order he came.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import simpy
from msgspec import Struct

from loadtest.planning.cores import Cores, Happening

Draw = Callable[[random.Random], float]
#: Hosts that a balancer draws for a request, maybe one of them twice, as Envoy's LEAST_REQUEST does.
DRAWN = 2


class Shape(Struct, frozen=True, kw_only=True):
    """One host. workers: run on the cores, or with `card` beside them. max_queue: FACE_API_MAX_QUEUE."""

    cores: int
    decoders: int
    workers: int
    gateways: int = 1
    max_batch: int = 1
    batch_delay_s: float = 0.0
    card: bool = False
    max_queue: int = 256

    @property
    def places(self) -> int:
        """How many are inside at once, from decoding to the answer: what keeps everything busy (`turnstile.py`)."""
        return self.decoders + self.workers * self.max_batch * (2 if self.card else 1)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one core, drawn anew for every request. run: of the network, for so many pictures together.

    hop: to a worker and back, which keeps nobody busy.
    """

    gateway: Draw
    decode: Draw
    hop: Draw
    run: Callable[[random.Random, int], float]
    mask: Draw


@dataclass(slots=True)
class Host:
    """The state of one host."""

    env: simpy.Environment
    shape: Shape
    costs: Costs
    numbers: random.Random
    inside: int = 0
    refused: int = 0
    batches: list[int] = field(default_factory=list)
    cores: Cores = field(init=False)
    _gateways: simpy.Resource = field(init=False)
    _places: simpy.Resource = field(init=False)
    _decoders: simpy.Resource = field(init=False)
    _waiting: simpy.Store = field(init=False)

    def __post_init__(self) -> None:
        self.cores = Cores(self.env, self.shape.cores)
        self._gateways = simpy.Resource(self.env, self.shape.gateways)
        self._places = simpy.Resource(self.env, self.shape.places)
        self._decoders = simpy.Resource(self.env, self.shape.decoders)
        self._waiting = simpy.Store(self.env)
        for _ in range(self.shape.workers):
            self.env.process(self._worker())

    def answer(self, answered: Callable[[], None]) -> Happening:
        """The way of one request; `answered` is called at its end, unless it is refused."""
        if self.inside >= self.shape.max_queue:
            self.refused += 1
            return
        self.inside += 1
        yield from self._held(self._gateways, self.costs.gateway)
        with self._places.request() as place:
            yield place
            yield from self._held(self._decoders, self.costs.decode)
            yield self.env.timeout(self.costs.hop(self.numbers))
            found = self.env.event()
            self._waiting.put(found)
            yield found
            yield from self._held(self._decoders, self.costs.mask)
        self.inside -= 1
        answered()

    def _held(self, resource: simpy.Resource, cost: Draw) -> Happening:
        seconds = cost(self.numbers)
        if seconds:
            with resource.request() as turn:
                yield turn
                yield self.cores.work(seconds)

    def _worker(self) -> Happening:
        while True:
            batch = [(yield self._waiting.get())]
            if self.shape.batch_delay_s and len(self._waiting.items) < self.shape.max_batch - 1:
                yield self.env.timeout(self.shape.batch_delay_s)
            while len(batch) < self.shape.max_batch and self._waiting.items:
                batch.append((yield self._waiting.get()))
            seconds = self.costs.run(self.numbers, len(batch))
            yield self.env.timeout(seconds) if self.shape.card else self.cores.work(seconds)
            self.batches.append(len(batch))
            for found in batch:
                found.succeed()


class Simulated(Struct, frozen=True):
    """What came out. latencies_s: of the answers that count. rate: those a second. busy: share of all cores."""

    latencies_s: list[float]
    rate: float
    refused: int
    busy: float
    batches: list[int]


@dataclass(slots=True)
class Cluster:
    """Hosts behind a balancer that draws two of them for each request and takes the one with fewer."""

    shape: Shape
    costs: Costs
    hosts: int = 1
    seed: int = 0
    env: simpy.Environment = field(default_factory=simpy.Environment)
    _numbers: random.Random = field(init=False)
    _hosts: list[Host] = field(init=False)

    def __post_init__(self) -> None:
        self._numbers = random.Random(self.seed)
        self._hosts = [Host(self.env, self.shape, self.costs, self._numbers) for _ in range(self.hosts)]

    def open_loop(self, arrivals_s: Sequence[float], warm_s: float = 0.0) -> Simulated:
        """Requests come when they come. Those before `warm_s` do not count."""
        latencies: list[float] = []
        self.env.process(self._arrive(arrivals_s, warm_s, latencies))
        self.env.run(until=self.env.process(self._emptied(arrivals_s[-1])))
        return self._outcome(latencies, max(arrivals_s[-1] - warm_s, 1e-9))

    def closed_loop(self, clients: int, seconds: float, warm_s: float = 0.0) -> Simulated:
        """So many clients, each of which asks again when it has its answer."""
        assert clients <= self.shape.max_queue, "refused clients would ask without an end"
        latencies: list[float] = []
        for _ in range(clients):
            self.env.process(self._client(warm_s, latencies))
        self.env.run(until=warm_s + seconds)
        return self._outcome(latencies, seconds)

    def _arrive(self, arrivals_s: Sequence[float], warm_s: float, latencies: list[float]) -> Happening:
        for at in arrivals_s:
            yield self.env.timeout(max(0.0, at - self.env.now))
            self.env.process(self._asked(warm_s, self.env.now, latencies))

    def _emptied(self, last_s: float) -> Happening:
        yield self.env.timeout(last_s)
        while any(host.inside for host in self._hosts):
            yield self.env.timeout(0.01)

    def _client(self, warm_s: float, latencies: list[float]) -> Happening:
        while True:  # an answer counts whenever its request began
            yield self.env.process(self._asked(warm_s, None, latencies))

    def _asked(self, warm_s: float, due: float | None, latencies: list[float]) -> Happening:
        """due: when it counts as having come; None counts it when it is answered."""
        drawn = self._numbers.choices(self._hosts, k=DRAWN)
        host = min(drawn, key=lambda one: one.inside)
        since = self.env.now

        def answered() -> None:
            if (self.env.now if due is None else due) >= warm_s:
                latencies.append(self.env.now - since)

        yield from host.answer(answered)

    def _outcome(self, latencies: list[float], seconds: float) -> Simulated:
        busy_s = sum(host.cores.busy_s for host in self._hosts)
        return Simulated(
            latencies,
            len(latencies) / seconds,
            sum(host.refused for host in self._hosts),
            busy_s / (self.env.now * self.shape.cores * self.hosts) if self.env.now else 0.0,
            [size for host in self._hosts for size in host.batches],
        )
