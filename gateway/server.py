"""The gunicorn worker class: uvicorn on uvloop and httptools, with our connections and our way of stopping.

SIGTERM: readiness goes false and answers close their connections; after the drain delay no connection is
accepted any more, idle ones end a moment later; what is in flight is finished. SIGINT, SIGQUIT: without the delay.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from gateway import presence
from gateway.access.client_ip import ClientAddresses
from gateway.edge.connections import Connections
from gateway.edge.conversation import Patience
from gateway.edge.cors import named
from gateway.edge.http_protocol import protocol_class
from gateway.edge.open_files import connections_that_fit
from gateway.reporting.metrics import Sample
from gateway.services import Services, services_of
from shared.access_rules import items, parse_networks
from shared.beat import to_next_beat
from shared.environment import load
from shared.settings import Settings

#: How often the date of answers moves on and gunicorn is told that this process lives.
TICK_S = 1.0
#: Of the listening socket's queue, taken in before it is closed; as long as the queue may be.
LAST_CONNECTIONS_MAX = 2048


def connections_of(settings: Settings) -> Connections:
    """The connections of one process under these settings."""
    addresses = ClientAddresses(parse_networks(settings.trusted_proxies))
    return Connections(
        Patience.of(settings),
        connections_that_fit(settings.max_connections),
        settings.max_connections_per_address,
        lambda address: addresses.is_trusted({"client": (address, 0)}),
        settings.max_unsent_bytes,
        named(items(settings.cors_origins)),
    )


def uvicorn_options(settings: Settings, connections: Connections) -> dict[str, Any]:
    """How uvicorn serves one process of ours."""
    return {
        "loop": "uvloop",
        "http": protocol_class(connections),
        "ws": "none",
        "lifespan": "on",
        "server_header": False,
        "access_log": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": settings.stop_grace,
        # Ours ends idle connections, looking first whether a request has come; uvicorn's own timer does not look.
        "timeout_keep_alive": settings.keep_alive + 60,
    }


def sample_of(connections: Connections) -> Sample:
    """What metrics tell of them."""
    return Sample(refused=connections.refused, gauges={"connections": len(connections)})


class DrainingServer(Server):
    """uvicorn's server, but leaving in good order."""

    def __init__(self, config: Config, settings: Settings, connections: Connections) -> None:
        super().__init__(config)
        self._settings = settings
        self._connections = connections
        self._services: Services | None = None
        self._stop_at: float | None = None
        self._asked_to_stop = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.lifespan.state:  # else it failed, and this process ends
            self._services = services_of({"state": self.lifespan.state})
            self._services.metrics.watch(lambda: sample_of(self._connections))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 — a signal handler
        if self._stop_at is not None:
            self.should_exit = True
            return
        replaced = presence.is_replaced(Path(self._settings.runtime_dir), os.getppid())
        if self._services is not None and not replaced:
            self._services.readiness.stopping = True
        self._connections.draining = True
        delayed = sig == signal.SIGTERM and not replaced
        self._stop_at = monotonic() + (self._settings.drain_delay if delayed else 0.0)
        asyncio.get_running_loop().call_soon_threadsafe(self._asked_to_stop.set)

    async def main_loop(self) -> None:
        """uvicorn's ticks, but one a second instead of ten: an idle process should be idle."""
        while not await self.on_tick(0):
            if self._stop_at is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(to_next_beat(TICK_S)):
                        await self._asked_to_stop.wait()
            else:
                await asyncio.sleep(min(TICK_S, max(0.0, self._stop_at - monotonic())))

    async def on_tick(self, counter: int) -> bool:
        if self._stop_at is not None and monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in sockets or []:
            await self._take_in_the_last(listening)
        await super().shutdown(sockets)

    async def _take_in_the_last(self, listening: socket.socket) -> None:
        """The kernel has accepted connections that this loop has not seen yet: closed with the listening socket,
        they would be reset with what their clients have sent.
        """
        loop = asyncio.get_running_loop()
        for _ in range(LAST_CONNECTIONS_MAX):
            try:
                connection, _address = listening.accept()
            except OSError:  # nobody waits
                return
            try:
                await loop.connect_accepted_socket(self._protocol, connection)
            except OSError:  # it has gone again
                connection.close()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )  # type: ignore[call-arg]


class GatewayWorker(UvicornWorker):  # type: ignore[misc]
    """Named in deploy/gunicorn.conf.py."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._settings, _ = load()
        self._connections = connections_of(self._settings)
        self.CONFIG_KWARGS: dict[str, Any] = uvicorn_options(self._settings, self._connections)
        super().__init__(*args, **kwargs)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = DrainingServer(self.config, self._settings, self._connections)
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
