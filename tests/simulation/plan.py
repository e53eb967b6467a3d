"""What happens in one schedule, drawn from its seed before anything runs: so it can be told, run again and shortened."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from shared.messages import CropHeader
from shared.wire import CropArray

HEADERS = (CropHeader(1, 2, 64, 1.0),)
#: Longer than any honest wait of a schedule: who asks with it must be answered.
PATIENT_S = 40.0


class Kind(IntEnum):
    """What a picture does to a worker; its number, modulo 16, says so."""

    PLAIN = 0
    KILLER = 1
    SICKENING = 2
    BAD = 3

    @staticmethod
    def of(number: int) -> Kind:
        return Kind(number % 16)


def crop_of(number: int) -> CropArray:
    """A picture whose pixels are its number."""
    return np.frombuffer(number.to_bytes(6), np.uint8).reshape(1, 2, 3)


def picture_of(crop: CropArray) -> int:
    return int.from_bytes(crop.tobytes())


@dataclass(frozen=True, slots=True)
class Make:
    """How the workers of a schedule are made; seconds."""

    max_batch: int
    depth: int
    together: int
    delay_s: float
    run_s: float


@dataclass(frozen=True, slots=True)
class Ask:
    """A client asks gateway number `gateway` for a picture, and leaves after `leaves` seconds if not answered by then."""

    at: float
    gateway: int
    picture: int
    patience_s: float
    leaves: float | None

    def __str__(self) -> str:
        leaves = "" if self.leaves is None else f", leaves after {self.leaves:.3f}"
        kind = Kind.of(self.picture).name.lower()
        return f"{self.at:8.3f}  gateway {self.gateway} is asked for {self.picture} ({kind}), {self.patience_s:.2f} s{leaves}"


@dataclass(frozen=True, slots=True)
class Fault:
    """what: a method of House. which: a worker's slot or a gateway's number. much: seconds, where it takes some."""

    at: float
    what: str
    which: int
    much: float = 0.0

    def __str__(self) -> str:
        much = f" {self.much:.3f} s" if self.much else ""
        return f"{self.at:8.3f}  {self.what} {self.which}{much}"


@dataclass(frozen=True, slots=True)
class Tour:
    """A picture is shown to gateways by their numbers, to each once the one before has answered."""

    at: float
    picture: int
    gateways: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.at:8.3f}  gateways {self.gateways} are asked for {self.picture}, one after the other"


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule. room: messages a link holds for a gateway that does not read. late_s: of a message, at most.

    hosts: of workers, over which they are spread; 0 where all is on one. links_max: of a gateway, to workers of hosts.
    """

    seed: int
    gateways: int
    workers: int
    make: Make
    late_s: float
    room: int
    asks: tuple[Ask, ...]
    faults: tuple[Fault, ...]
    hosts: int = 0
    links_max: int = 16
    tours: tuple[Tour, ...] = ()

    def lines(self) -> Iterator[str]:
        yield f"seed {self.seed}: {self.gateways} gateways, {self.workers} workers, {self.make}"
        if self.hosts:
            yield f"{self.hosts} hosts of workers, {self.links_max} links"
        yield f"messages up to {self.late_s * 1000:.0f} ms late, {self.room} fit a link"
        yield from (
            str(action) for action in sorted((*self.asks, *self.faults, *self.tours), key=lambda action: action.at)
        )


FAULTS = (
    "kill_worker", "stop_worker", "freeze_worker", "slow_worker",
    "kill_gateway", "stop_gateway", "freeze_gateway", "start_gateway",
)  # fmt: skip


def plan_of(seed: int) -> Plan:
    chance = random.Random(seed)
    gateways, workers = chance.randint(1, 4), chance.randint(1, 3)
    make = Make(
        chance.choice((1, 1, 2, 4)),
        chance.choice((1, 1, 2)),
        chance.choice((1, 1, 4, 6)),
        chance.choice((0.0, 0.0, 0.005, 0.15)),
        chance.choice((0.004, 0.02, 0.08)),
    )
    seconds = chance.choice((1.0, 3.0, 8.0))
    busy = chance.choice((0.3, 1.0, 2.0)) * workers / make.run_s
    count = min(120, max(6, int(busy * seconds)))
    asks = tuple(ask_of(chance, seconds, gateways, number) for number in range(count))
    faults = tuple(_fault(chance, seconds, gateways, workers) for _ in range(chance.choice((0, 1, 2, 4, 8))))
    late_s = chance.choice((0.0005, 0.005, 0.05))
    return Plan(seed, gateways, workers, make, late_s, chance.choice((4, 200, 200)), asks, faults)


def ask_of(chance: random.Random, seconds: float, gateways: int, number: int) -> Ask:
    # Bursts, and favourites among the gateways: an even load never shows who is forgotten.
    at = chance.uniform(0.3, seconds) if chance.random() < 0.5 else chance.randint(1, 3) * seconds / 3
    gateway = 0 if chance.random() < 0.5 else chance.randrange(gateways + 1)
    kind = chance.choices((Kind.PLAIN, Kind.KILLER, Kind.SICKENING, Kind.BAD), (200, 1, 1, 2))[0]
    repeated = kind is Kind.KILLER and chance.random() < 0.5
    picture = 16 * (0 if repeated else number + 1) + kind
    patience_s = chance.choice((0.05, 0.3, 1.5, PATIENT_S, PATIENT_S, PATIENT_S))
    leaves = chance.expovariate(10.0) if chance.random() < 0.2 else None
    return Ask(at, gateway, picture, patience_s, leaves)


def _fault(chance: random.Random, seconds: float, gateways: int, workers: int) -> Fault:
    what: Any = chance.choice(FAULTS)
    which = chance.randrange(workers if "worker" in what else gateways + 1)
    much = {"freeze_worker": (0.2, 4.5), "freeze_gateway": (0.2, 7.0), "slow_worker": (0.1, 1.5)}.get(what)
    return Fault(chance.uniform(0.2, seconds), what, which, chance.uniform(*much) if much else 0.0)
