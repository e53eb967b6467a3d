"""A whole house in one loop of virtual time: gateways, workers, their clients and what befalls them."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from gateway.dispatching.work_queue import Work
from gateway.request_time import in_time
from shared.announcement import Announcement
from shared.deadline import Deadline
from tests.simulation.gateway import Findings, SimGateway, SimLink
from tests.simulation.network import Channel
from tests.simulation.plan import HEADERS, PATIENT_S, Ask, Fault, Plan, Tour, crop_of
from tests.simulation.rules import Rules
from tests.simulation.starving import Starving
from tests.simulation.virtual_time import VirtualLoop
from tests.simulation.worker import SimWorker

#: How often the promises about places and credit are looked at; how long at most after the last action.
LOOK_S, LAST_S = 0.1, 60.0
#: How long a slow worker stays slow.
SLOW_S = 3.0
#: A client that was refused tries elsewhere after this.
BETWEEN_S = 0.2


@dataclass(slots=True)
class Outcome:
    """requests: asked for. letters: messages on the wire. seconds: of virtual time. endings: how many ended how.

    violations: what was broken; empty for a schedule that is well.
    """

    seed: int
    requests: int
    letters: int
    seconds: float
    faults: int
    endings: dict[str, int]
    violations: list[str]
    trace: list[str]


@dataclass
class House:
    plan: Plan
    loop: asyncio.AbstractEventLoop
    rules: Rules = field(init=False)
    starving: Starving = field(init=False)
    chance: random.Random = field(init=False)
    findings: Findings = field(default_factory=Findings)
    workers: dict[int, SimWorker] = field(default_factory=dict)
    gateways: list[SimGateway] = field(default_factory=list)
    touring: set[asyncio.Task[None]] = field(default_factory=set)
    started: int = 0

    def __post_init__(self) -> None:
        self.rules = Rules(self.loop, could_serve=self._could_serve)
        self.starving = Starving(self.rules, self.plan.late_s)
        self.chance = random.Random(f"house {self.plan.seed}")
        self.open()

    def open(self) -> None:
        for slot in range(self.plan.workers):
            self._start_worker(slot)
        for number in range(self.plan.gateways):
            self.start_gateway(number)

    async def close(self) -> None:
        """Nothing outlives its schedule."""
        for gateway in self.gateways:
            if gateway.dispatcher.crops is not None:
                gateway.dispatcher.crops.close()

    async def live(self) -> None:
        """Everything of the plan, and then a calm in which all that was asked must end."""
        self.loop.set_exception_handler(self._raised)
        for ask in self.plan.asks:
            self.loop.call_at(ask.at, self._ask, ask)
        for tour in self.plan.tours:
            self.loop.call_at(tour.at, self._tour, tour)
        for fault in self.plan.faults:
            self.loop.call_at(fault.at, self._befall, fault)
        last = max((action.at for action in (*self.plan.asks, *self.plan.faults, *self.plan.tours)), default=0.0)
        while self.loop.time() < last or (self._awaited() and self.loop.time() < last + LAST_S):
            await asyncio.sleep(LOOK_S)
            self.look()
        if awaited := self._awaited():
            self.rules.broken(f"{awaited} requests never ended")

    def look(self) -> None:
        workers = [worker for worker in self.workers.values() if worker.alive]
        working = [gateway for gateway in self.gateways if gateway.alive]
        self.rules.look(workers, working)
        self.starving.look(workers, working)

    def _awaited(self) -> int:
        return len(self.touring) + sum(len(gateway.tasks) for gateway in self.gateways)

    def _raised(self, _loop: Any, context: dict[str, Any]) -> None:
        self.rules.broken(f"a gateway's loop raised {context.get('exception')!r}")

    # Clients

    def _ask(self, ask: Ask) -> None:
        working = sorted((one for one in self.gateways if one.works), key=lambda one: one.number)
        if not working:
            self.rules.endings["no gateway"] += 1
            return
        gateway = working[ask.gateway % len(working)]
        task = self.loop.create_task(self._asked(ask, gateway))
        gateway.tasks.add(task)
        task.add_done_callback(gateway.tasks.discard)
        if ask.leaves is not None:
            self.loop.call_later(ask.leaves, task.cancel)

    def _tour(self, tour: Tour) -> None:
        task = self.loop.create_task(self._toured(tour))
        self.touring.add(task)
        task.add_done_callback(self.touring.discard)

    async def _toured(self, tour: Tour) -> None:
        for number in (*tour.gateways, *tour.gateways):
            for gateway in [one for one in self.gateways if one.number == number and one.works]:
                await self._asked(Ask(tour.at, number, tour.picture, PATIENT_S, None), gateway)
                await asyncio.sleep(BETWEEN_S)
        self.rules.toured(tour.picture)

    async def _asked(self, ask: Ask, gateway: SimGateway) -> None:
        began, number = self.loop.time(), gateway.dispatcher.next_id()
        deadline = Deadline.after(ask.patience_s, began)
        work = Work(number, (crop_of(ask.picture),), HEADERS, 0.5, 0.4, 0, 64, 64, deadline)
        result: Any
        try:
            async with in_time(deadline):
                result = await gateway.dispatcher.detect(work)
        except BaseException as error:  # cancelling is an ending like others here
            result = error
        self.rules.ended(ask, number, gateway, began, result)

    # What befalls the house

    def _befall(self, fault: Fault) -> None:
        if "worker" in fault.what:
            worker = self.workers[fault.which]
            if worker.alive and not worker.over:
                getattr(self, fault.what)(worker, fault.much)
        elif fault.what == "start_gateway":
            self.start_gateway(fault.which)
        else:
            for gateway in [one for one in self.gateways if one.number == fault.which and one.works]:
                getattr(self, fault.what)(gateway, fault.much)

    def kill_worker(self, worker: SimWorker, _much: float) -> None:
        worker.end(self.loop.time())

    def stop_worker(self, worker: SimWorker, _much: float) -> None:
        worker.stop()

    def freeze_worker(self, worker: SimWorker, much: float) -> None:
        worker.freeze(much)

    def slow_worker(self, worker: SimWorker, much: float) -> None:
        worker.numbers.run_s = much
        self.loop.call_later(SLOW_S, setattr, worker.numbers, "run_s", self.plan.make.run_s)

    def kill_gateway(self, gateway: SimGateway, _much: float) -> None:
        gateway.kill()

    def stop_gateway(self, gateway: SimGateway, _much: float) -> None:
        gateway.leave()

    def freeze_gateway(self, gateway: SimGateway, much: float) -> None:
        gateway.freeze(much)

    def start_gateway(self, number: int) -> None:
        if not any(one.number == number and one.alive for one in self.gateways):
            self.started += 1
            name = f"gateway {number}.{self.started}"
            self.gateways.append(
                SimGateway(self.loop, number, name, self.rules, self.findings, self._link, self._present)
            )

    # Workers and links

    def _start_worker(self, slot: int) -> None:
        self.started += 1
        make = self.plan.make
        name, held = f"w{slot}.{self.started}", self.rules.answered_late
        self.workers[slot] = SimWorker(self.loop, slot, name, make, make.run_s, self._worker_ended, held)

    def _could_serve(self, since: float) -> bool:
        return any(worker.well_since < since for worker in self.workers.values() if worker.serves)

    def _worker_ended(self, worker: SimWorker) -> None:
        self._bury(worker)
        for gateway in self.gateways:
            for link in gateway.links:
                if link.worker is worker and not link.closed:
                    self.loop.call_at(max(link.back.last_due, self.loop.time()) + 0.01, link.lose)
        self.loop.call_later(self.chance.uniform(0.2, 1.5), self._start_worker, worker.slot)

    def _bury(self, worker: SimWorker) -> None:
        if worker.wrong:
            self.rules.broken(worker.wrong)
        self.rules.killed(worker.numbers.killers)

    def _present(self) -> dict[str, Announcement]:
        return {
            worker.generation: Announcement(slot, worker.generation, "", 1)
            for slot, worker in self.workers.items()
            if worker.alive
        }

    def _link(self, gateway: SimGateway, announcement: Announcement, on_message: Any, on_lost: Any) -> SimLink:
        worker = self.workers[announcement.slot]
        link = SimLink(announcement, on_message, on_lost, gateway, worker)
        chance = random.Random(f"{self.plan.seed} {gateway.name} {worker.generation}")
        late_s, name = self.plan.late_s, gateway.identity
        link.there = Channel(self.loop, chance, late_s, lambda letter: worker.arrive(name, link.there, letter))
        link.back = Channel(self.loop, chance, late_s, link.arrive, self.plan.room)
        worker.channels[name] = link.back
        worker.gone.discard(name)
        return link


def run(plan: Plan, *, traced: bool = False, make: type[House] = House) -> Outcome:
    """One schedule, from nothing to its end."""
    loop = VirtualLoop()
    try:
        house = loop.run_until_complete(_lived(plan, loop, make, traced=traced))
        seconds = loop.time()
    finally:
        loop.close()
    rules = house.rules
    return Outcome(
        plan.seed,
        len(plan.asks),
        rules.letters,
        seconds,
        len(plan.faults),
        dict(rules.endings),
        rules.violations,
        rules.trace or [],
    )


async def _lived(plan: Plan, loop: asyncio.AbstractEventLoop, make: type[House], *, traced: bool) -> House:
    house = make(plan, loop)
    house.rules.trace = [] if traced else None
    await house.live()
    await house.close()
    return house
