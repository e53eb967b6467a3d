"""Services: everything that lives as long as a gateway process, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from gateway.access import Access, open_access
from gateway.admission import Admission
from gateway.detection import detect_picture
from gateway.dispatch import Detection, Dispatcher
from gateway.picture import Pictures, open_pictures
from gateway.readiness import Probe, Readiness
from shared.canary import canary_picture
from shared.deadline import Deadline
from shared.messages import Canary
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to the routes as `request.state.services`; no part looks for another by itself."""

    settings: Settings
    access: Access
    admission: Admission
    pictures: Pictures
    dispatcher: Dispatcher
    readiness: Readiness


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """For one gateway process. Opens what others stand on first."""
    runtime_dir = Path(settings.runtime_dir)
    async with contextlib.AsyncExitStack() as stack:
        access = await open_access(settings, runtime_dir)
        stack.push_async_callback(access.aclose)
        pictures = await open_pictures(settings)
        stack.push_async_callback(pictures.aclose)
        dispatcher = Dispatcher(runtime_dir, name=f"gateway-{os.getpid()}")
        dispatcher.open()
        stack.push_async_callback(dispatcher.aclose)
        readiness = Readiness(dispatcher, _probe(settings, pictures, dispatcher))
        stack.push_async_callback(_ended, asyncio.create_task(readiness.watch()))
        admission = Admission(settings.max_queue, settings.max_queue_bytes)
        yield Services(settings, access, admission, pictures, dispatcher, readiness)
        readiness.stopping = True


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
                dispatcher, picture, canary.confidence, canary.nms_threshold, max_faces=0, deadline=deadline
            )
        finally:
            picture.close()

    return probe


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
