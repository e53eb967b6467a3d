"""Services: everything that lives as long as a gateway process, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from gateway import presence
from gateway.access.client_ip import ClientAddresses
from gateway.access.door import Door
from gateway.access.opening import open_access
from gateway.admission.admission import Admission
from gateway.admission.turnstile import Turnstile, places_for
from gateway.dispatching.detection import Question, detect_picture
from gateway.dispatching.dispatch import Detection, Dispatcher
from gateway.dispatching.opening import open_dispatcher
from gateway.edge.books import Books
from gateway.keys.administration import Administration
from gateway.keys.keeping import Keys
from gateway.keys.upkeep import Forget
from gateway.keys.usage import day_of
from gateway.people.sessions import Sessions
from gateway.pictures import memory_need
from gateway.pictures.crop_memory import CropMemory
from gateway.pictures.picture import Pictures, open_pictures
from gateway.pictures.picture_facts import decoders_of
from gateway.readiness import LOOK_INTERVAL_S, Probe, Readiness
from gateway.records.images import Images
from gateway.records.keeping import Records, open_records
from gateway.records.table import sweep_all
from gateway.reporting.counters import Counters, Present, Worker
from gateway.reporting.metrics import REFRESH_INTERVAL_S, Metrics, Sample
from gateway.reporting.traces import open_traces
from shared.canary import canary_picture
from shared.deadline import Deadline
from shared.logs import Log, open_log
from shared.messages import Canary
from shared.settings import Settings
from shared.supervision import Loops


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes ask; no part looks for another by itself."""

    settings: Settings
    door: Door
    keys: Keys
    administration: Administration
    addresses: ClientAddresses
    counters: Counters
    admission: Admission
    pictures: Pictures
    dispatcher: Dispatcher
    readiness: Readiness
    turnstile: Turnstile
    metrics: Metrics
    books: Books
    records: Records | None
    images: Images | None
    loops: Loops
    log: Log


def state_with(services: Services) -> dict[str, Any]:
    """What every request is to carry."""
    return {"services": services}


def is_opened(scope: Mapping[str, Any]) -> bool:
    """Whether the application has its services: one may be asked for its paths without them."""
    return "services" in scope["state"]


def services_of(scope: Mapping[str, Any]) -> Services:
    """Those of this process, from the scope of any of its requests."""
    services: Services = scope["state"]["services"]
    return services


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """For one gateway process. Opens what others stand on first."""
    runtime_dir = Path(settings.runtime_dir)
    async with contextlib.AsyncExitStack() as stack:
        loops, loop = Loops(), asyncio.get_running_loop()
        loops.hear_event_loop(loop)
        stack.push_async_callback(loops.aclose)
        also_forget: list[Forget] = [_forget_sessions(settings), sweep_all]  # jobs too where none are kept any more
        door = await stack.enter_async_context(open_access(settings, runtime_dir, loops, also_forget))
        counters = door.counters
        kept = await stack.enter_async_context(open_records(settings, loops))
        crops = None if settings.role == "gateway" else CropMemory()
        if crops is not None:
            stack.callback(crops.close)
        pictures = await open_pictures(settings, crops)
        stack.push_async_callback(pictures.aclose)
        log = open_log(settings, "gateway")
        if pictures.sandbox.notes:
            log.warning("decoders are not shut in whole", why="; ".join(pictures.sandbox.notes))
        dispatcher = open_dispatcher(settings, loops, lambda event, facts: log.warning(event, **facts), crops)
        stack.push_async_callback(dispatcher.aclose)
        if settings.redis_url:  # who has none does not load its library
            from gateway.dispatching.quarantine_share import sharing
            from gateway.stores.redis_news import open_client

            client = open_client(settings.redis_url, settings.redis_timeout_ms / 1000)
            await stack.enter_async_context(sharing(client, dispatcher.quarantine, loops, dispatcher.not_shared))
        readiness = Readiness(
            dispatcher, _probe(settings, pictures, dispatcher), lambda: presence.announce(runtime_dir, *_names()), loops
        )
        stack.callback(presence.withdraw, runtime_dir, *_names())
        stack.push_async_callback(loops.keep("readiness", readiness.look, LOOK_INTERVAL_S).end)
        turnstile = _turnstile(settings, dispatcher)
        dispatcher.alone = lambda: turnstile.alone
        admission = _admission(settings, dispatcher, turnstile)
        metrics, traces = Metrics(), open_traces(settings)
        if traces is not None:
            stack.callback(traces.aclose)
        services = Services(
            settings=settings, door=door, keys=door.keys, administration=Administration(door.keys, counters.key_use),
            addresses=door.addresses, counters=counters, admission=admission, pictures=pictures, dispatcher=dispatcher,
            readiness=readiness, turnstile=turnstile, metrics=metrics,
            books=Books(log, metrics, counters, door.upkeep.gathering, traces), records=kept.records,
            images=kept.images, loops=loops, log=log,
        )  # fmt: skip
        metrics.watch(lambda: _sample(services, loop.time()))
        stack.callback(metrics.refresh)  # the last counts, after the loop's end
        stack.push_async_callback(loops.keep("metrics", metrics.refresh, REFRESH_INTERVAL_S).end)
        counters.say_of_now(lambda: _present(services))
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
    use = services.door.upkeep.gathering.on_day(day_of(time.time()))
    return Present(in_flight=services.admission.requests, queued=waiting, workers=tuple(workers), use=use)


def _sample(services: Services, now: float) -> Sample:
    """What metrics tell of this moment, and what the parts of this process have counted."""
    admission, dispatcher, turnstile = services.admission, services.dispatcher, services.turnstile
    events = {"accepted": admission.accepted, "picture_children_lost": services.pictures.deaths}
    if services.records is not None:
        events |= services.records.events()
    if services.images is not None:
        events |= services.images.events()
    return Sample(
        events=events | asdict(dispatcher.counts) | services.counters.failures(),
        refused=dict(admission.refused) | services.counters.refused(),
        loop_failures=services.loops.failures,
        gauges={
            "requests_in_house": admission.requests,
            "bytes_in_house": admission.bytes,
            "crop_memory_bytes": dispatcher.crops.lent_bytes if dispatcher.crops is not None else 0,
            "queue_decode": turnstile.waiting,
            "queue_workers": dispatcher.queue.waiting,
            "in_hand": dispatcher.queue.in_hand,
            "oldest_wait_seconds": turnstile.oldest_wait_s(now),
            "expected_wait_seconds": admission.expected_wait_s,
            "workers": len(dispatcher.workers),
            "ready": services.readiness.ready,
        }
        | {f"links_{how}": count for how, count in dispatcher.links(now).items()},
    )


def _forget_sessions(settings: Settings) -> Forget:
    return lambda database, now: Sessions(database, settings).forget_old(now)


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
        memory_need.bodies_max(settings, memory_need.memory_of_host()),
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

    async def probe(canary: Canary, deadline: Deadline) -> Detection:
        question = Question(canary.confidence, canary.nms_threshold)
        with contextlib.closing(await pictures.open(data, sides=(settings.input_side,), to_mask=True)) as picture:
            return await detect_picture(dispatcher, picture, question, deadline)

    return probe
