"""Rounds in which gateway, database or storage is killed at a step of their order, and what was told is looked at.

    python -m tests.rounds file|servers --rounds 100 [--first 0] [--seconds 400] [--json FILE]

file: SQLite and a folder, where the whole service is killed with its launcher. servers: PostgreSQL and SeaweedFS, where
it is that, either server, or all three at once. After each round the dead are started again, every id that was told of
must lead to what it named, what was deleted must be gone, and requests without an answer are sent again. After the last,
two hours later, table and storage must hold the same; after an erasure, neither anything.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from shared.settings import Settings
from tests.buckets import bucket
from tests.cluster.stub_host import SIDE, STUB_MS
from tests.integration.access.servers import postgres
from tests.rounds.asking import Told, until_dead, until_well, wrong
from tests.rounds.gateway import DELETING, ORDER, STEPS, Order
from tests.rounds.leftovers import leftovers
from tests.service import START_S_MAX, Service, is_running, processes_below, start

#: Each fatal call is one of the first so many of its step in a round.
FATAL_MAX = 7
#: What is killed where there are servers, in turn; a whole service takes longest to be there again.
WHO = ("gateway", *2 * ("database", "storage"), "all", *2 * ("database", "storage"))


@dataclass
class Part:
    """What can be killed. pid: now. back: starts it again."""

    pid: Callable[[], int]
    back: Callable[[], None]


@dataclass
class House:
    """The service, and the servers it stands on. url, storage: of database and storage."""

    folder: Path
    database_url: str
    storage_url: str
    order: Path
    parts: dict[str, Part] = field(default_factory=dict)
    starts: int = 0
    service: Service = field(init=False)

    def begin(self) -> None:
        """required and best_effort by turns: an id that is told of is as good by either."""
        mode = ("required", "best_effort")[self.starts % 2]
        self.starts += 1
        self.service = start(
            self.folder, module="tests.rounds.host", before=("env", f"{STUB_MS}=0", f"{ORDER}={self.order}"),
            temporary=str(self.folder), workers=1, gateway_processes=1, decode_processes=1, metrics_port=-1,
            input_side=SIDE, mask_second_side=0, log_level="error", console_enabled="false",
            records=mode, database_url=self.database_url, storage_url=self.storage_url, key_pepper="5" * 64,
        )  # fmt: skip
        assert self.service.ready.wait(START_S_MAX), self.service.output
        assert self.service.url, self.service.output

    def begin_anew(self) -> None:
        self.service.close()
        self.begin()

    def end(self) -> None:
        family = processes_below(self.service.process.pid)
        assert self.service.stop() == 0, self.service.output
        assert not [pid for pid in family if is_running(pid)], self.service.output

    def settings(self) -> Settings:
        return Settings(data_dir=str(self.folder), database_url=self.database_url, storage_url=self.storage_url)

    def victims(self, who: str) -> list[str]:
        return list(self.parts) if who == "all" else [who]


@contextlib.contextmanager
def opened(place: str) -> Iterator[House]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fa-rounds-")))
        house = House(folder, "", (folder / "pictures").as_uri(), folder / "order")
        house.parts["gateway"] = Part(lambda: house.service.process.pid, house.begin_anew)
        if place == "servers":
            database, storage = stack.enter_context(postgres()), stack.enter_context(bucket())
            os.environ.update(storage.environment)
            house.database_url, house.storage_url = database.url, storage.url
            servers = {
                "database": Part(lambda: database.process.pid, database.restart),
                "storage": Part(lambda: storage.process.pid, storage.restart),
            }
            house.parts = servers | house.parts  # in the order in which they can be started again
        house.begin()
        try:
            yield house
        finally:
            house.service.close()


def plan(place: str, number: int) -> tuple[str, str, bool, int]:
    """(who, step, after, which call) of a round: one after the other all that can be."""
    who = ("gateway",) if place == "file" else WHO
    steps = [step for step in STEPS if place == "file" or step != "half"]
    step, after = number // len(who) % len(steps), number // len(who) // len(steps) % 2
    return who[number % len(who)], steps[step], bool(after), 1 + 5 * number % FATAL_MAX


def one_round(house: House, place: str, number: int) -> tuple[str, Told]:
    who, step, after, fatal = plan(place, number)
    victims, every = house.victims(who), 1 if step in DELETING else 3
    pids = [house.parts[name].pid() for name in victims]
    fresh = house.order.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(Order(number, step, after, fatal, pids)))
    fresh.replace(house.order)
    told = asyncio.run(until_dead(house.service.url, lambda: not house.order.exists(), every))
    for name in house.parts:
        if name in victims:
            house.parts[name].back()
    asyncio.run(until_well(house.service.url))
    lost = asyncio.run(wrong(house.service.url, told))
    assert not lost, f"round {number}, {who} killed {'after' if after else 'before'} {step} {fatal}: {lost}"
    return who, told


def rounds(place: str, first: int, count: int, seconds: float = 1e9) -> dict[str, Any]:
    """As many as there is time for; what was told, and what is left."""
    end, killed, all_told = time.monotonic() + seconds, Counter[str](), Told()
    with opened(place) as house:
        for number in range(first, first + count):
            who, told = one_round(house, place, number)
            killed[who] += 1
            all_told.jobs |= told.jobs - told.unwanted
            all_told.images |= {each: told.images[each] for each in told.images.keys() - told.unwanted}
            all_told.gone |= told.gone
            if time.monotonic() > end:
                break
        lost = asyncio.run(wrong(house.service.url, all_told))
        house.end()
        report = {"place": place, "first": first, "rounds": killed.total(), "killed": dict(killed)}
        report |= {"told": len(all_told.jobs) + len(all_told.images), "deleted": len(all_told.gone), "lost": len(lost)}
        return report | asyncio.run(leftovers(house.settings()))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rounds", description=__doc__)
    parser.add_argument("place", choices=("file", "servers"))
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first, which says what it kills")
    parser.add_argument("--seconds", type=float, default=1e9, help="no round begins later")
    parser.add_argument("--json", type=Path, help="where a line is added")
    options = parser.parse_args(arguments)
    report = msgspec.json.encode(rounds(options.place, options.first, options.rounds, options.seconds)).decode()
    print(report)
    if options.json:
        with options.json.open("a") as file:
            file.write(report + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
