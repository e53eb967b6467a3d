"""/metrics of the whole host on a port of its own, served by the launcher: it outlives every gateway process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from gateway.reporting.metrics_files import HostMetrics
from shared.errors import ConfigurationError
from shared.logs import Log
from shared.settings import Settings


@contextlib.contextmanager
def metrics_served(effective: Settings, folder: Path, log: Log) -> Iterator[str]:
    """Its URL, or "" without one. The folder must be empty at the start: what it holds is added up."""
    if effective.metrics_port < 0:
        yield ""
        return
    registry = CollectorRegistry()
    registry.register(HostMetrics(folder))
    try:
        server, thread = start_http_server(effective.metrics_port, effective.metrics_host, registry)
    except OSError as error:
        address = f"{effective.metrics_host}:{effective.metrics_port}"
        raise ConfigurationError(
            f"cannot serve metrics on {address}: {error.strerror or error}; choose another FACE_API_METRICS_PORT, "
            "0 for a free one or -1 for none"
        ) from None
    url = f"http://{effective.metrics_host}:{server.server_port}/metrics"
    log.info("metrics are served", url=url)
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
