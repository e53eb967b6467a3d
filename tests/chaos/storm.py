"""The storm: steady load while workers and gateways are killed, stopped and replaced; every answer is checked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from shared.announcement import announced
from tests.chaos.client import Client, Lost, NotReached
from tests.chaos.gallery import Known
from tests.service import Service, is_running

#: What is lost so soon after a gateway process was killed was in its hands.
GATEWAY_KILL_SHADOW_S = 5.0
RECOVERY_S_MAX = 60.0


@dataclass
class Report:
    """What happened; `lines` is the text for people."""

    requests: int = 0
    accepted: int = 0
    seconds: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    lost_with_a_killed_gateway: int = 0
    not_reached: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    recoveries_s: dict[str, list[float]] = field(default_factory=dict)
    events: dict[str, float] = field(default_factory=dict)

    def lines(self) -> list[str]:
        total = (
            f"{self.requests} requests in {self.seconds:.0f} s: {self.accepted} answered rightly, "
            f"{sum(self.refused.values())} refused {dict(self.refused)}, {len(self.wrong)} wrong, {len(self.lost)} lost, "
            f"{self.lost_with_a_killed_gateway} lost with a killed gateway, {self.not_reached} connections not accepted"
        )
        lines = [total, f"faults: {dict(self.faults)}"]
        for fault, times in self.recoveries_s.items():
            ordered = sorted(times)
            lines.append(
                f"serving again after {fault}: median {ordered[len(ordered) // 2]:.2f} s, longest {ordered[-1]:.2f} s"
            )
        lines.append(f"counted by the service: { {name: int(count) for name, count in self.events.items()} }")
        return lines + self.wrong[:10] + self.lost[:10]


@dataclass
class Storm:
    """One run. pause_s: between an answer and a client's next request. restart: stops the service and starts it again on its port; None leaves that fault out."""

    service: Service
    runtime_dir: Path
    pictures: list[Known]
    clients: int = 8
    seed: int = 0
    pause_s: float = 0.02
    restart: Callable[[], Awaitable[Service]] | None = None
    report: Report = field(default_factory=Report)
    _gateway_killed: list[float] = field(default_factory=list)
    _over: bool = False

    @property
    def port(self) -> int:
        return int(self.service.url.rsplit(":", 1)[1])

    async def run(self, faults: list[str], every_s: float) -> Report:
        """Load until every fault has happened."""
        return await self.run_until(0, faults, every_s)

    async def run_until(self, requests: int, faults: list[str], every_s: float) -> Report:
        """Load until so many requests were made; without a number until every fault has happened."""
        began = time.monotonic()
        load = [asyncio.create_task(self._load(number)) for number in range(self.clients)]
        numbers = random.Random(self.seed)
        for fault in faults:
            await asyncio.sleep(every_s)
            if requests and self.report.requests >= requests:
                break
            await self._happen(fault, numbers)
        await asyncio.sleep(every_s)
        self._over = True
        await asyncio.gather(*load)
        self.report.seconds = time.monotonic() - began
        return self.report

    async def _load(self, number: int) -> None:
        numbers, client = random.Random(self.seed * 1000 + number), Client(self.port)
        while not self._over:
            await self._one(client, numbers.choice(self.pictures))
            await asyncio.sleep(self.pause_s)
        client.close()

    async def _one(self, client: Client, known: Known) -> None:
        report, began = self.report, time.monotonic()
        try:
            answer = await client.detect(known.file)
        except NotReached:
            report.not_reached += 1
            await asyncio.sleep(0.2)
            return
        except Lost as error:
            report.requests += 1
            if any(began - 1 < killed + GATEWAY_KILL_SHADOW_S for killed in self._gateway_killed):
                report.lost_with_a_killed_gateway += 1
            else:
                report.lost.append(f"lost: {error}")
            return
        report.requests += 1
        if answer.status == 200:
            wrong = known.wrong(answer.json())
            report.accepted += not wrong
            report.wrong += [f"wrong: {wrong}"] if wrong else []
        elif answer.status == 503:
            report.refused[str(answer.status)] += 1
            assert int(answer.headers["retry-after"]) >= 1
            await asyncio.sleep(0.2)
        else:
            report.refused[f"{answer.status} {answer.json()['detail'][:40]}"] += 1

    # Faults

    async def _happen(self, fault: str, numbers: random.Random) -> None:
        self.report.faults[fault] += 1
        target, _, what = fault.partition(" ")
        if target == "replace":
            self.service.process.send_signal(signal.SIGHUP)
            count = self.service.output.count("the old ones have ended")
            await self._recovered(fault, lambda: self.service.output.count("the old ones have ended") > count)
            return
        if target == "restart":
            assert self.restart is not None
            began = time.monotonic()
            self.service = await self.restart()
            self.report.recoveries_s.setdefault(fault, []).append(time.monotonic() - began)
            return
        pid = self._victim(target, numbers)
        if pid is None:
            return
        if target == "gateway":
            self._gateway_killed.append(time.monotonic() + (0 if what == "kill" else 30))
        if what == "kill":
            before = self._alive(target)
            os.kill(pid, signal.SIGKILL)
            await self._recovered(fault, lambda: len(self._alive(target) - before) > 0)
            return
        os.kill(pid, signal.SIGSTOP)
        # Long enough to be taken for hung, or short enough to go unnoticed.
        await asyncio.sleep(numbers.choice((1.0, 5.0)) if target == "worker" else numbers.uniform(0.5, 2.0))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        if target == "gateway":
            self._gateway_killed.pop()

    def _victim(self, target: str, numbers: random.Random) -> int | None:
        alive = sorted(self._alive(target))
        return numbers.choice(alive) if alive else None

    def _alive(self, target: str) -> set[int]:
        if target == "worker":
            pids = {worker.pid for worker in announced(self.runtime_dir).values()}
        else:
            pids = {int(path.name.split(".")[1]) for path in (self.runtime_dir / "gateways").glob("*.ready")}
        return {pid for pid in pids if is_running(pid)}

    async def _recovered(self, fault: str, condition: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not condition() and time.monotonic() - began < RECOVERY_S_MAX:  # noqa: ASYNC110 — processes
            await asyncio.sleep(0.02)
        self.report.recoveries_s.setdefault(fault, []).append(time.monotonic() - began)


def metrics_of(service: Service) -> dict[str, float]:
    """The values of the service's metrics, by their name with labels."""
    match = re.search(r"metrics at (\S+)", service.output)
    assert match is not None
    with urllib.request.urlopen(match[1], timeout=20) as response:
        text = response.read().decode()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


def events_of(service: Service) -> dict[str, float]:
    """What happened to requests and workers, by name."""
    pattern = re.compile(r'face_api_events_total\{event="(\w+)"\}')
    return {match[1]: value for name, value in metrics_of(service).items() if (match := pattern.match(name))}
