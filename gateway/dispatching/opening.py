"""From settings to a dispatcher at work: here it is decided whether workers are on this host or on others."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from gateway.dispatching.dispatch import Dispatcher, Incident
from gateway.dispatching.worker_hosts import WorkerHosts
from gateway.pictures.crop_memory import CropMemory
from shared.settings import Settings
from shared.split_rules import hosts_of
from shared.supervision import Loops
from shared.wire_keys import read_peers


def open_dispatcher(settings: Settings, loops: Loops, told: Incident, crops: CropMemory | None) -> Dispatcher:
    """crops: where they lie for workers of this host.

    Raises ConfigurationError where the keys of other hosts cannot be read.
    """
    name = f"gateway-{os.getpid()}"
    if settings.role == "gateway":
        name = f"{socket.gethostname()}.{name}"
    hosts = worker_hosts(settings, name, told) if settings.role == "gateway" else None
    dispatcher = Dispatcher(Path(settings.runtime_dir), name, told, hosts, crops, loops=loops)
    dispatcher.open()
    return dispatcher


def worker_hosts(settings: Settings, name: str, told: Incident) -> WorkerHosts:
    servers = read_peers(Path(settings.wire_peers))
    return WorkerHosts(hosts_of(settings), servers, name, settings.wire_key, settings.wire_links, told)
