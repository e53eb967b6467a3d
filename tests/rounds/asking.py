"""Clients of one round: what they ask until something dies, what they were told, and whether it is so afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import uuid4

import cv2
import httpx2
import numpy as np

CLIENTS = 4
#: Nobody asks longer than that for something to die.
ROUND_S_MAX = 30.0
#: Asked on while it is dead.
BEYOND_S = 0.15
ALL_IS_WELL_S_MAX = 60.0
HEADERS = {"Content-Type": "image/png"}
PICTURE = cv2.imencode(".png", np.full((32, 32, 3), 200, np.uint8))[1].tobytes()


@dataclass
class Told:
    """jobs, images: ids that answers named; of images the digest of the picture that came with them. unwanted: ids of
    both whose deletion was asked; gone: it was answered. unanswered: requests that got no answer, by their task.
    """

    jobs: set[str] = field(default_factory=set)
    images: dict[str, str] = field(default_factory=dict)
    unwanted: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    unanswered: list[tuple[str, str]] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)


@asynccontextmanager
async def client(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{url}/api/v1", timeout=ROUND_S_MAX) as opened:
        yield opened


async def until_dead(url: str, is_over: Callable[[], bool], delete_every: int) -> Told:
    """Asks until it is over, and a little longer. delete_every: so many pictures are kept for one that is deleted."""
    told, end = Told(), time.monotonic() + ROUND_S_MAX
    async with client(url) as asking, asyncio.TaskGroup() as clients:
        over = clients.create_task(_over(is_over, end))
        for number in range(CLIENTS):
            clients.create_task(_ask(asking, told, over, number, delete_every))
    return told


async def _over(is_over: Callable[[], bool], end: float) -> None:
    while not is_over():
        assert time.monotonic() < end, "nothing was killed: the step was never reached"
        await asyncio.sleep(0.01)
    await asyncio.sleep(BEYOND_S)


async def _ask(
    asking: httpx2.AsyncClient, told: Told, over: asyncio.Task[None], number: int, delete_every: int
) -> None:
    while not over.done():
        number += 1
        task = "detect" if number % 4 == 0 else "mask"
        try:
            await _picture(asking, told, task, str(uuid4()))
            if number % delete_every == 0 and (wanted := sorted(told.images.keys() - told.unwanted)):
                await _delete(asking, told, wanted[0], "images")
            elif number % 7 == 0 and (wanted := sorted(told.jobs - told.unwanted)):
                await _delete_job(asking, told, wanted[0])
        except httpx2.HTTPError:
            await asyncio.sleep(0.02)


async def _picture(asking: httpx2.AsyncClient, told: Told, task: str, name: str) -> None:
    """name: of the request, by which it can be sent again."""
    told.unanswered.append((task, name))
    answer = await asking.post(
        f"/{task}", content=PICTURE, headers=HEADERS | {"X-Request-Id": name, "Idempotency-Key": name}
    )
    told.statuses.add(answer.status_code)
    if answer.status_code == 200:
        told.unanswered.remove((task, name))
        if job_id := answer.headers.get("X-Job-Id"):
            told.jobs.add(job_id)
        if image_id := answer.headers.get("X-Image-Id"):
            told.images[image_id] = sha256(answer.content).hexdigest()


async def _delete(asking: httpx2.AsyncClient, told: Told, each: str, kind: str) -> None:
    told.unwanted.add(each)
    if (await asking.delete(f"/{kind}/{each}")).status_code in {202, 204}:
        told.gone.add(each)


async def _delete_job(asking: httpx2.AsyncClient, told: Told, job_id: str) -> None:
    answer = await asking.get(f"/jobs/{job_id}")
    if answer.status_code == 200:
        if image_id := answer.json()["image_id"]:
            told.unwanted.add(image_id)
        await _delete(asking, told, job_id, "jobs")


async def until_well(url: str) -> None:
    end = time.monotonic() + ALL_IS_WELL_S_MAX
    async with httpx2.AsyncClient(base_url=url, timeout=ROUND_S_MAX) as asking:
        while (answer := await asking.get("/health")).status_code != 200:
            assert time.monotonic() < end, answer.text
            await asyncio.sleep(0.05)


async def wrong(url: str, told: Told) -> list[str]:
    """What is not as it was told: in words, one each. What got no answer is sent again first, once."""
    async with client(url) as asking:
        for task, name in list(told.unanswered):
            await _picture(asking, told, task, name)
        lost = [f"job {each}" for each in told.jobs - told.unwanted if await _status(asking, "jobs", each) != 200]
        for each, digest in told.images.items():
            if each not in told.unwanted:
                answer = await asking.get(f"/images/{each}/content")
                if (answer.status_code, sha256(answer.content).hexdigest()) != (200, digest):
                    lost.append(f"image {each}: {answer.status_code} {answer.text[:100]}")
        kinds = {each: "jobs" if each in told.jobs else "images" for each in told.gone}
        return lost + [f"{each} is back" for each, kind in kinds.items() if await _status(asking, kind, each) != 404]


async def _status(asking: httpx2.AsyncClient, kind: str, each: str) -> int:
    return (await asking.get(f"/{kind}/{each}")).status_code
