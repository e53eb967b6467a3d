"""Services: everything that lives as long as a gateway process, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from gateway import presence
from gateway.access.door import Access, open_access
from gateway.admission.admission import Admission
from gateway.admission.turnstile import Turnstile, places_for
from gateway.dispatching.detection import Question, detect_picture
from gateway.dispatching.dispatch import Detection, Dispatcher
from gateway.pictures.picture import Pictures, open_pictures
from gateway.pictures.picture_facts import decoders_of
from gateway.readiness import LOOK_INTERVAL_S, Probe, Readiness
from gateway.reporting.counters import Present, Worker
from gateway.reporting.metrics import REFRESH_INTERVAL_S, Metrics
from shared.canary import canary_picture
from shared.deadline import Deadline
from shared.logs import Log, open_log
from shared.messages import Canary
from shared.settings import Settings
from shared.supervision import Loops


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to the routes as `request.state.services`; no part looks for another by itself."""

    settings: Settings
    access: Access
    admission: Admission
    pictures: Pictures
    dispatcher: Dispatcher
    readiness: Readiness
    turnstile: Turnstile
    metrics: Metrics
    loops: Loops
    log: Log


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """For one gateway process. Opens what others stand on first."""
    runtime_dir = Path(settings.runtime_dir)
    async with contextlib.AsyncExitStack() as stack:
        loops = Loops()
        loops.hear_event_loop(asyncio.get_running_loop())
        stack.push_async_callback(loops.aclose)
        access = await open_access(settings, runtime_dir, loops)
        stack.push_async_callback(access.aclose)
        pictures = await open_pictures(settings)
        stack.push_async_callback(pictures.aclose)
        log = open_log(settings, "gateway")
        if pictures.sandbox.notes:
            log.warning("decoders are not shut in whole", why="; ".join(pictures.sandbox.notes))
        dispatcher = Dispatcher(
            runtime_dir,
            name=f"gateway-{os.getpid()}",
            told=lambda event, facts: log.warning(event, **facts),
            loops=loops,
        )
        dispatcher.open()
        stack.push_async_callback(dispatcher.aclose)
        readiness = Readiness(
            dispatcher, _probe(settings, pictures, dispatcher), lambda: presence.announce(runtime_dir, *_names()), loops
        )
        stack.callback(presence.withdraw, runtime_dir, *_names())
        stack.push_async_callback(loops.keep("readiness", readiness.look, LOOK_INTERVAL_S).end)
        turnstile = _turnstile(settings, dispatcher)
        admission = _admission(settings, dispatcher, turnstile)
        services = Services(
            settings, access, admission, pictures, dispatcher, readiness, turnstile, Metrics(), loops, log
        )  # fmt: skip
        stack.callback(_refresh_metrics, services)  # the last counts, after the loop's end
        stack.push_async_callback(loops.keep("metrics", lambda: _refresh_metrics(services), REFRESH_INTERVAL_S).end)
        access.parts.counters.say_of_now(lambda: _present(services))
        yield services
        readiness.stopping = True


def _present(services: Services) -> Present:
    """What this process tells the console of this moment."""
    workers = [
        Worker(
            name=f"worker {worker.slot}",
            state="serving",
            model=worker.model.name,
            precision=worker.model.precision,
            provider=worker.model.provider,
            license=worker.model.license,
            note=worker.model.note,
        )
        for worker in services.dispatcher.workers
    ]
    waiting = services.turnstile.waiting + services.dispatcher.queue.waiting
    return Present(in_flight=services.admission.requests, queued=waiting, workers=tuple(workers))


def _refresh_metrics(services: Services) -> None:
    services.metrics.refresh(services, asyncio.get_running_loop().time())


def _names() -> tuple[int, int]:
    """This process's master and itself, as `presence` knows them."""
    return os.getppid(), os.getpid()


def _turnstile(settings: Settings, dispatcher: Dispatcher) -> Turnstile:
    decoders, queue = decoders_of(settings), dispatcher.queue

    def places(house: int) -> int:
        return places_for(house, decoders + max(1, queue.busy_with), decoders + max(2, queue.capacity))

    return Turnstile(places, decoders)


def _admission(settings: Settings, dispatcher: Dispatcher, turnstile: Turnstile) -> Admission:
    return Admission(
        settings.max_queue,
        settings.max_queue_bytes,
        settings.queue_share,
        model_interval_s=dispatcher.interval_s,
        saturated=lambda: turnstile.waiting > 0,
        jitter=random.random,
    )


def _probe(settings: Settings, pictures: Pictures, dispatcher: Dispatcher) -> Probe:
    """Sends the canary picture as a file, like a client's."""
    encoded, file = cv2.imencode(".bmp", canary_picture())
    assert encoded
    data = file.tobytes()

    async def probe(canary: Canary) -> Detection:
        deadline = Deadline.after(settings.request_timeout, asyncio.get_running_loop().time())
        picture = await pictures.open(data, sides=(settings.input_side,), deadline=deadline, single_frame=True)
        try:
            return await detect_picture(
                dispatcher, picture, Question(canary.confidence, canary.nms_threshold), deadline
            )
        finally:
            picture.close()

    return probe
