"""Readiness: whether a picture sent now would be answered rightly. It follows what really happened.

Real answers count. When none came for a while, the canary picture goes the whole way (decode, letterbox,
wire, worker and back) and must come back as the untouched model answers it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.dispatching.dispatch import Detection, Dispatcher
from gateway.request_time import in_time
from shared.canary import disagreement
from shared.deadline import Deadline
from shared.errors import DeadlineExceeded, FaceApiError
from shared.messages import Canary
from shared.supervision import Loops

#: How often the state is looked at; only arithmetic unless a probe is due.
LOOK_INTERVAL_S = 0.5
#: Idle for so long, the canary flies. A probe costs one inference: far below 1 % of a core.
PROBE_IDLE_S = 20.0
PROBE_RETRY_S = 1.0
PROBE_TIMEOUT_S = 10.0

Probe = Callable[[Canary, Deadline], Awaitable[Detection]]


@dataclass(slots=True)
class Readiness:
    """`ready` and `reason` are all the routes read.

    probe: sends the canary with the given thresholds. on_ready: called whenever it has become ready.
    loops: this process's; one that cannot be kept going is a reason.
    """

    dispatcher: Dispatcher
    probe: Probe
    on_ready: Callable[[], None] = lambda: None
    loops: Loops = field(default_factory=Loops)
    stopping: bool = False
    failure: str = "no worker has answered yet"
    _answered: int = 0
    _failed: int = 0
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
        if broken := self.loops.failing():
            return f"{broken}; the log tells more"
        if not self.dispatcher.workers:
            return "no worker is serving"
        return self.failure

    async def look(self) -> None:
        """One round: called every LOOK_INTERVAL_S for the life of the process."""
        now = asyncio.get_running_loop().time()
        if not self.dispatcher.workers:
            self.failure = "the workers that serve now have not answered yet"
            return
        if self._answers_came(now) and not self.failure:
            return
        # Failures without a single answer are looked into at once, a quiet time now and then.
        in_doubt = bool(self.failure) or self._failures_came()
        due = PROBE_RETRY_S if in_doubt else PROBE_IDLE_S
        if now - max(self._probed_at, 0.0 if in_doubt else self._answered_at) >= due:
            self._probed_at = now
            await self._fly()

    def _answers_came(self, now: float) -> bool:
        came = self.dispatcher.counts.answered > self._answered
        if came:
            self._answered, self._answered_at = self.dispatcher.counts.answered, now
            self._failed = self.dispatcher.counts.failed
        return came

    def _failures_came(self) -> bool:
        return self.dispatcher.counts.failed > self._failed

    async def _fly(self) -> None:
        canary, now = self.dispatcher.workers[0].canary, asyncio.get_running_loop().time()
        deadline = Deadline.after(PROBE_TIMEOUT_S, now)
        try:
            async with in_time(deadline):
                detection = await self.probe(canary, deadline)
        except DeadlineExceeded:
            self.failure = "the canary picture was not answered in time"
            return
        except FaceApiError as error:
            self.failure = f"the canary picture was not answered: {error}"
            return
        # While a model is replaced, two may serve: each is held to its own canary.
        self.failure = disagreement(detection.worker.canary, detection.faces)
        if self.failure:
            self.failure = f"the canary picture came back wrong: {self.failure}"
        self._answered, self._failed = self.dispatcher.counts.answered, self.dispatcher.counts.failed
        if self.ready:
            self.on_ready()
