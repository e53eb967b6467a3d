"""What a storm does to a service, by name ("worker kill", "restart all", …), and how long it took to serve fully again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.house import House
from tests.service import is_running, processes_below
from tests.waiting import until

#: By weight; what is done to a storm of any length. Whole restarts come on top, at fixed places.
USUAL = (*["worker kill"] * 5, *["worker stop"] * 2, *["gateway kill"] * 3, "gateway stop", "replace now")
WHOLE = ("restart all", "kill all")
RECOVERY_S_MAX = 60.0
#: What was on its way to a process when it was killed was in its hands, and a moment's worth on connections whose
#: end the client had not seen yet.
SHADOW_S = 0.5


@dataclass
class Faults:
    """doomed: times (monotonic) at which processes that hold clients' connections were killed."""

    house: House
    numbers: random.Random
    done: Counter[str] = field(default_factory=Counter)
    recoveries_s: dict[str, list[float]] = field(default_factory=dict)
    doomed: list[float] = field(default_factory=list)
    last: tuple[str, float] = ("the start", 0.0)

    @property
    def kills(self) -> int:
        return sum(count for fault, count in self.done.items() if fault.endswith(" kill") or fault == "kill all")

    def excused(self, began: float, ended: float) -> bool:
        """Whether a request of that time may have been in the hands of a killed gateway process."""
        return any(began <= killed + SHADOW_S and killed <= ended for killed in self.doomed)

    def since_last(self, now: float) -> str:
        """When something happened, in words."""
        fault, began = self.last
        return f"{now - began:.2f} s after {fault} began"

    async def happen(self, fault: str) -> None:
        """Does it, and waits until everything serves again."""
        self.done[fault] += 1
        target, _, what = fault.partition(" ")
        began = time.monotonic()
        self.last = (fault, began)
        if target == "replace":
            await self._replace()
        elif fault == "restart all":
            await self.house.restart()
        elif fault == "kill all":
            self.doomed.append(began)
            await self.house.kill()
        elif what == "kill":
            await self._kill(target)
        else:
            await self._stop(target)
        self.recoveries_s.setdefault(fault, []).append(time.monotonic() - began)

    async def _replace(self) -> None:
        """Until every process below the launcher is a new one."""
        launcher, workers = self.house.service.process, len(self.house.workers())
        old = processes_below(launcher.pid)
        launcher.send_signal(signal.SIGHUP)
        await until(lambda: not any(map(is_running, old)) and len(self.house.workers()) >= workers, RECOVERY_S_MAX)

    async def _kill(self, target: str) -> None:
        before, pid = self._alive(target), self._victim(target)
        if target == "gateway":
            self.doomed.append(time.monotonic())
        os.kill(pid, signal.SIGKILL)
        await until(lambda: len(self._alive(target) - {pid}) >= len(before), RECOVERY_S_MAX)

    async def _stop(self, target: str) -> None:
        """Long enough to be taken for hung, or short enough to go unnoticed; gateways always the latter."""
        before, pid = self._alive(target), self._victim(target)
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(self.numbers.choice((1.0, 5.0)) if target == "worker" else self.numbers.uniform(0.5, 2.0))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        await until(lambda: len(self._alive(target)) >= len(before), RECOVERY_S_MAX)

    def _alive(self, target: str) -> set[int]:
        return self.house.workers() if target == "worker" else self.house.gateways()

    def _victim(self, target: str) -> int:
        return self.numbers.choice(sorted(self._alive(target)))


def plan(numbers: random.Random) -> list[str]:
    """More faults than any storm needs, each kind of whole restart early and now and then."""
    faults = [numbers.choice(USUAL) for _ in range(10_000)]
    for place in range(10, len(faults), 25):
        faults[place] = WHOLE[place // 25 % 2]
    return faults
