"""The gunicorn worker class: uvicorn on uvloop and httptools, with our connections and our way of stopping.

SIGTERM: readiness goes false and answers close their connections; after the drain delay no connection is
accepted any more; what is in flight is finished. SIGINT and SIGQUIT: the same without the delay.
"""

from __future__ import annotations

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
from gateway.client_ip import ClientAddresses
from gateway.connections import Connections
from gateway.conversation import Patience
from gateway.http_protocol import protocol_class
from shared.access_rules import parse_networks
from shared.settings import Settings, load


def connections_of(settings: Settings) -> Connections:
    """The connections of one process under these settings."""
    addresses = ClientAddresses(parse_networks(settings.trusted_proxies))
    patience = Patience(
        header_s=settings.header_timeout,
        grace_s=settings.header_timeout,
        upload_rate=settings.min_transfer_rate,
        download_rate=settings.min_transfer_rate,
        idle_s=settings.keep_alive,
    )
    return Connections(
        patience,
        settings.max_connections,
        settings.max_connections_per_address,
        lambda address: addresses.is_trusted({"client": (address, 0)}),
    )


class DrainingServer(Server):
    """uvicorn's server, but leaving in good order."""

    def __init__(self, config: Config, settings: Settings, connections: Connections) -> None:
        super().__init__(config)
        self._settings = settings
        self._connections = connections
        self._stop_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        services = self.lifespan.state.get("services")
        if services is not None:
            services.metrics.connections = self._connections

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 — a signal handler
        if self._stop_at is not None:
            self.should_exit = True
            return
        replaced = presence.is_replaced(Path(self._settings.runtime_dir), os.getppid())
        services = self.lifespan.state.get("services")
        if services is not None and not replaced:
            services.readiness.stopping = True
        self._connections.draining = True
        delayed = sig == signal.SIGTERM and not replaced
        self._stop_at = monotonic() + (self._settings.drain_delay if delayed else 0.0)

    async def on_tick(self, counter: int) -> bool:
        if self._stop_at is not None and monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)


class GatewayWorker(UvicornWorker):  # type: ignore[misc]
    """Named in deploy/gunicorn.conf.py."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._settings, _ = load()
        self._connections = connections_of(self._settings)
        self.CONFIG_KWARGS: dict[str, Any] = {
            "loop": "uvloop",
            "http": protocol_class(self._connections),
            "ws": "none",
            "lifespan": "on",
            "server_header": False,
            "access_log": False,
            "proxy_headers": False,
            "timeout_graceful_shutdown": self._settings.stop_grace,
        }
        super().__init__(*args, **kwargs)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = DrainingServer(self.config, self._settings, self._connections)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
