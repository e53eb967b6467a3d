"""A host of workers alone: what its supervisor asks on FACE_API_HOST:PORT.

GET /livez    200 while the launcher turns its loop (it ends with its pool)
GET /readyz   200 while any worker can be reached, else 503
GET /health   both, as JSON
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.config import Config
from uvicorn.server import Server

from deploy.service import Service

#: Who asks is a supervisor or two.
CONNECTIONS_MAX, IDLE_S = 64, 5


class WorkerHealth(msgspec.Struct, frozen=True):
    """What /health says of a host of workers."""

    status: str
    workers: int
    workers_expected: int


class Answering(Server):
    """uvicorn in the launcher's loop; signals stay the launcher's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def waiting_for_gateways(service: Service, metrics_url: str) -> None:
    """Answers its supervisor for as long as it lives, and says once where gateways find it."""
    config = Config(
        probes(service), log_config=None, access_log=False, server_header=False, lifespan="off", ws="none",
        limit_concurrency=CONNECTIONS_MAX, timeout_keep_alive=IDLE_S,
    )  # fmt: skip
    async with asyncio.TaskGroup() as both:
        both.create_task(Answering(config).serve(sockets=[service.listening.dup()]))
        both.create_task(_say_when_ready(service, metrics_url))


def probes(service: Service) -> Starlette:
    async def livez(_request: Request) -> Response:
        return _answer(200, {"status": "alive"})

    async def readyz(_request: Request) -> Response:
        if service.workers_here():
            return _answer(200, {"status": "ready"})
        return _answer(503, {"detail": "not ready: no worker can be reached"})

    async def health(_request: Request) -> Response:
        workers = service.workers_here()
        told = WorkerHealth("ok" if workers else "degraded", workers, service.workers_expected())
        return _answer(200 if workers else 503, told)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/health", health)])


def _answer(status: int, told: object) -> Response:
    return Response(msgspec.json.encode(told), status, media_type="application/json")


async def _say_when_ready(service: Service, metrics_url: str) -> None:
    while not service.workers_here() or service.workers_here() < service.workers_expected():  # noqa: ASYNC110 — files
        await asyncio.sleep(0.2)
    running = service.running
    lines = [
        "",
        f"face-api's workers wait for gateways at {running.wire_bind}",
        f"  processes  {service.workers_here()}, on the ports behind it",
        f"  health     http://{running.host}:{running.port}/readyz",
    ]
    if metrics_url:
        lines.append(f"  metrics    {metrics_url}")
    print("\n".join([*lines, "  stop it    Ctrl-C", ""]), flush=True)
