"""`make verify`: 10,000 refused connections that their clients never close take no descriptors, and no stop waits for them.

Not collected by the ordinary suite, for its time: `python -m pytest tests/verify_connections.py`.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.edge.connections import TURNED_AWAY_MAX
from shared.processes import allow_open_files
from tests.networks import beacon_network
from tests.service import processes_below, running_service

CONNECTIONS = 10_000
LIMIT = 50
#: What a gateway process opens now and then beside connections.
OTHERS = 32
LOOKS = 20


def descriptors(pid: int) -> int:
    """The open files of this process and of all below it."""
    return sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in (pid, *processes_below(pid)))


def test_refused_connections_that_are_never_closed_keep_descriptors_flat_and_no_stop_waiting(tmp_path: Path) -> None:
    if allow_open_files(CONNECTIONS + 1000) < CONNECTIONS + 1000:
        pytest.skip(f"the hard limit on open files is {resource.getrlimit(resource.RLIMIT_NOFILE)[1]}")
    model = beacon_network(tmp_path / "beacon.onnx")
    with contextlib.ExitStack() as clients:
        with running_service(
            tmp_path, model=model, precision="fp32", max_connections_per_address=LIMIT, stop_grace=60
        ) as service:
            place = urlsplit(service.url)
            before, seen = descriptors(service.process.pid), []
            for _ in range(LOOKS):
                for _ in range(CONNECTIONS // LOOKS):
                    clients.enter_context(socket.create_connection((place.hostname, place.port), timeout=60))
                seen.append(descriptors(service.process.pid))
            print(f"descriptors: {before} before, then {seen}")
            assert max(seen) <= before + LIMIT + TURNED_AWAY_MAX + OTHERS
            asked = time.monotonic()
        print(f"stopped after {time.monotonic() - asked:.1f} s with {CONNECTIONS} clients that never closed")
        assert "graceful shutdown exceeded" not in service.output
        assert "did not stop" not in service.output
