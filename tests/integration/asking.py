"""A dispatcher as tests ask it: one picture at a time, and which worker has it in hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from gateway.dispatching.dispatch import Detection, Dispatcher
from gateway.dispatching.work_queue import Work
from gateway.request_time import in_time
from shared.deadline import Deadline
from shared.messages import CropHeader
from tests.stub_worker import SIDE
from tests.waiting import WAIT_S_MAX, until


@dataclass
class Asked:
    """One gateway process's dispatcher."""

    dispatcher: Dispatcher

    def ask(self, pixels: NDArray[Any], left_s: float = WAIT_S_MAX) -> asyncio.Task[Detection]:
        work = Work(
            id=self.dispatcher.next_id(), crops=(pixels,), headers=(CropHeader(SIDE, SIDE, SIDE, 1.0),),
            confidence=0.02, nms_threshold=0.4, max_faces=0, width=SIDE, height=SIDE,
            deadline=Deadline.after(left_s, asyncio.get_running_loop().time()),
        )  # fmt: skip
        return asyncio.create_task(self._asked(work))

    async def _asked(self, work: Work) -> Detection:
        async with in_time(work.deadline):
            return await self.dispatcher.detect(work)

    async def running_on(self) -> str:
        """The generation that has work in hand."""
        workers = self.dispatcher.queue.workers
        await until(lambda: any(worker.in_hand for worker in workers.values()))
        return next(generation for generation, worker in workers.items() if worker.in_hand)


def score(detection: Detection) -> int:
    assert len(detection.faces) == 1
    return round(float(detection.faces.scores[0]) * 255)
