"""Readiness: whether a picture sent now would be answered rightly. It follows what really happened.

Real answers count. When none came for a while, the canary picture goes the whole way (decode, letterbox,
wire, worker and back) and must come back as the untouched model answers it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from gateway.dispatch import Detection, Dispatcher
from shared.errors import FaceApiError
from shared.faces import Faces, FloatArray
from shared.messages import Canary

#: How often the state is looked at; only arithmetic unless a probe is due.
LOOK_INTERVAL_S = 0.5
#: Idle for so long, the canary flies. A probe costs one inference: far below 1 % of a core.
PROBE_IDLE_S = 20.0
PROBE_RETRY_S = 1.0
PROBE_TIMEOUT_S = 10.0

Probe = Callable[[Canary], Awaitable[Detection]]


@dataclass(slots=True)
class Readiness:
    """`ready` and `reason` are all the routes read. probe: sends the canary with the given thresholds."""

    dispatcher: Dispatcher
    probe: Probe
    stopping: bool = False
    failure: str = "no worker has answered yet"
    probes: int = 0
    _answered: int = 0
    _answered_at: float = 0.0
    _probed_at: float = field(default=-PROBE_IDLE_S)

    @property
    def ready(self) -> bool:
        return not self.reason

    @property
    def reason(self) -> str:
        """Why it is not ready; empty when it is."""
        if self.stopping:
            return "the server is stopping"
        if not self.dispatcher.workers:
            return "no worker is serving"
        return self.failure

    async def watch(self) -> None:
        """Runs for the life of the process."""
        while True:
            await self._look(asyncio.get_running_loop().time())
            await asyncio.sleep(LOOK_INTERVAL_S)

    async def _look(self, now: float) -> None:
        if not self.dispatcher.workers:
            self.failure = "the workers that serve now have not answered yet"
            return
        if self.dispatcher.counts.answered > self._answered:
            self._answered, self._answered_at = self.dispatcher.counts.answered, now
            if not self.failure:
                return
        due = PROBE_RETRY_S if self.failure else PROBE_IDLE_S
        if now - max(self._probed_at, 0.0 if self.failure else self._answered_at) >= due:
            self._probed_at = now
            await self._fly()

    async def _fly(self) -> None:
        self.probes += 1
        canary = self.dispatcher.workers[0].canary
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                detection = await self.probe(canary)
        except (FaceApiError, TimeoutError) as error:
            self.failure = f"the canary picture was not answered: {error or 'no answer in time'}"
            return
        self.failure = difference(detection.faces, canary)
        self._answered = self.dispatcher.counts.answered


def difference(found: Faces, canary: Canary) -> str:
    """What tells the found faces from the expected ones; empty when they agree within the tolerances."""
    expected: FloatArray = np.array(canary.faces, dtype=np.float32).reshape(len(canary.faces), -1)
    if len(found) != len(expected):
        return f"the canary picture came back with {len(found)} faces instead of {len(expected)}"
    if not len(found):
        return ""
    off_px = float(np.abs(found.boxes - expected[:, :4]).max())
    off_score = float(np.abs(found.scores - expected[:, 4]).max())
    if off_px > canary.box_tolerance_px or off_score > canary.score_tolerance:
        return f"the canary picture came back {off_px:.2f} px and {off_score:.4f} in confidence off"
    return ""
