"""The storm: steady load while parts of the service are killed, stopped and replaced; every answer is checked."""

from __future__ import annotations

import asyncio
import random
import re
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.client import Answer, Client, Lost, NotReached
from tests.chaos.faults import Faults
from tests.chaos.gallery import Known
from tests.chaos.house import House
from tests.service import Service

#: How long a client that was refused, or found nobody, waits before it asks again.
PAUSE_AFTER_REFUSAL_S = 0.2
#: Descriptors and files that come and go by themselves: links to workers just found, a scrape, a log line's pipe.
SLACK = {"descriptors": 12, "files in the runtime folder": 4, "files in shared memory": 0, "processes": 0}
#: Until a house that nobody asks any more holds no crop: metrics are told once a second, killed workers replaced.
CALM_S = 10.0


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
    kills: int = 0
    recoveries_s: dict[str, list[float]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    crop_bytes_left: float = 0.0

    @property
    def leaked(self) -> list[str]:
        held = [name for name, count in self.before.items() if self.after[name] > count + SLACK[name]]
        return held + ([f"{self.crop_bytes_left:.0f} bytes of crops"] if self.crop_bytes_left else [])

    @property
    def kept(self) -> bool:
        return not self.wrong and not self.lost and not self.leaked and set(self.refused) <= {"503"}

    def lines(self) -> list[str]:
        lines = [
            (
                f"{self.requests} requests in {self.seconds:.0f} s: {self.accepted} answered rightly, "
                f"{sum(self.refused.values())} refused {dict(self.refused)}, {len(self.wrong)} wrong, {len(self.lost)} lost, "
                f"{self.lost_with_a_killed_gateway} lost with a killed gateway process, "
                f"{self.not_reached} connections not accepted"
            ),
            f"faults: {dict(self.faults)}, {self.kills} kills; re-dispatched: {self.events['redispatched']}",
        ]
        for fault, times in sorted(self.recoveries_s.items()):
            ordered = sorted(times)
            lines.append(
                f"everything serves again after {fault}: median {ordered[len(ordered) // 2]:.2f} s, longest {ordered[-1]:.2f} s"
            )
        lines.append(f"counted by the service: {dict(self.events)}")
        held = ", ".join(f"{count} → {self.after[name]} {name}" for name, count in self.before.items())
        lines.append(f"held before → after: {held}{'; LEAKED: ' + ', '.join(self.leaked) if self.leaked else ''}")
        return lines + self.wrong[:10] + self.lost[:10]


@dataclass
class Storm:
    """One run. pause_s: between an answer and a client's next request."""

    house: House
    pictures: list[Known]
    clients: int = 8
    seed: int = 0
    pause_s: float = 0.02
    report: Report = field(default_factory=Report)
    faults: Faults = field(init=False)
    _over: bool = False

    def __post_init__(self) -> None:
        self.faults = Faults(self.house, random.Random(self.seed))

    async def run(self, faults: list[str], every_s: float, requests: int = 0, kills: int = 0) -> Report:
        """Load until so many requests were made and processes killed, or the faults are used up."""
        report, began = self.report, time.monotonic()
        load = [asyncio.create_task(self._load(number)) for number in range(self.clients)]
        await asyncio.sleep(2.0)
        report.before = self.house.possessions()
        for fault in faults:
            if requests and report.requests >= requests and self.faults.kills >= kills:
                break
            if fault.endswith(" all"):
                report.events += events_of(self.house.service)
            await self.faults.happen(fault)
            await asyncio.sleep(every_s)
        await asyncio.sleep(2.0)
        report.after = self.house.possessions()
        self._over = True
        await asyncio.gather(*load)
        report.seconds = time.monotonic() - began
        report.events += events_of(self.house.service)
        report.crop_bytes_left = await self._crop_bytes_left()
        report.faults, report.kills = self.faults.done, self.faults.kills
        report.recoveries_s = self.faults.recoveries_s
        return report

    async def _crop_bytes_left(self) -> float:
        """What crops still take when nobody asks any more and the metrics have had their time."""
        left, patience = -1.0, time.monotonic() + CALM_S
        while left and time.monotonic() < patience:
            await asyncio.sleep(0.5)
            left = metrics_of(self.house.service)["face_api_crop_memory_bytes"]
        return left

    async def _load(self, number: int) -> None:
        numbers, client = random.Random(self.seed * 1000 + number), Client(self.house.port)
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
            await asyncio.sleep(PAUSE_AFTER_REFUSAL_S)
            return
        except Lost as error:
            report.requests += 1
            if self.faults.excused(began, time.monotonic()):
                report.lost_with_a_killed_gateway += 1
            else:
                report.lost.append(f"lost {self.faults.since_last(time.monotonic())}: {error}")
            return
        report.requests += 1
        if answer.status == 200:
            wrong = known.wrong(answer.json())
            report.accepted += not wrong
            report.wrong += [f"wrong: {wrong}"] if wrong else []
            return
        self._note_refusal(answer)
        await asyncio.sleep(PAUSE_AFTER_REFUSAL_S)

    def _note_refusal(self, answer: Answer) -> None:
        if answer.status == 503:
            self.report.refused["503"] += 1
            assert int(answer.headers["retry-after"]) >= 1
        else:
            self.report.refused[f"{answer.status} {answer.json()['detail'][:60]}"] += 1


def metrics_of(service: Service) -> dict[str, float]:
    """The values of the service's metrics, by their name with labels."""
    match = re.search(r"^  metrics    (\S+)$", service.output, re.MULTILINE)
    assert match is not None
    with urllib.request.urlopen(match[1], timeout=20) as response:
        text = response.read().decode()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


def events_of(service: Service) -> Counter[str]:
    """What happened to requests and workers, by name."""
    pattern = re.compile(r'face_api_events_total\{event="(\w+)"\}')
    events = {match[1]: int(value) for name, value in metrics_of(service).items() if (match := pattern.match(name))}
    return Counter(events)
