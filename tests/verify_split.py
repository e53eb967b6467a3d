"""`make verify`: both halves as their launchers start them, asked over HTTP, replaced by SIGHUP and ended in order."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.wire_keys import make
from loadtest.ports import free_ports
from shared import exit_codes
from tests.chaos.gallery import gallery, network, settings
from tests.integration.asking import score
from tests.integration.split.halves import houses
from tests.service import ROOT, START_S_MAX, STOP_S_MAX, Service, environment, start
from tests.stub_worker import NAP, picture
from tests.waiting import until

pytestmark = pytest.mark.uvloop

PICTURE = gallery(1)[0]


def halves(folder: Path, ports: int) -> tuple[dict[str, object], dict[str, object]]:
    for name in ("workers", "gateways"):
        make(name, folder)
        (folder / name).mkdir()
    network(folder / "workers")
    small = {"gateway_processes": 1, "decode_processes": 1, "workers": 1, "metrics_port": 0, "log_level": "info"}
    workers = settings(
        folder / "workers", role="workers", wire_bind=f"tcp://127.0.0.1:{ports}", port=ports + 2, **small,
        wire_key_file=folder / "workers.key", wire_peers=folder / "gateways.pub",
    )  # fmt: skip
    gateways = settings(
        folder / "workers", role="gateway", wire_hosts=f"localhost:{ports}", **small,
        wire_key_file=folder / "gateways.key", wire_peers=folder / "workers.pub",
    )  # fmt: skip
    return workers, gateways


@pytest.fixture
def services(tmp_path: Path) -> Iterator[tuple[Service, Service, dict[str, str]]]:
    """Workers, gateways, and the environment of the first."""
    workers, gateways = halves(tmp_path, free_ports(3))
    behind, before = start(tmp_path / "workers", **workers), start(tmp_path / "gateways", **gateways)
    try:
        for service in (behind, before):
            assert service.ready.wait(START_S_MAX), service.output
        yield behind, before, environment(data_dir=tmp_path / "workers", **workers)
    finally:
        for service in (behind, before):
            service.close()


def detected(url: str) -> str:
    """What is wrong with the answer; empty when nothing is."""
    asked = urllib.request.Request(f"{url}/api/v1/detect", PICTURE.file, {"Content-Type": "image/png"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return PICTURE.wrong(json.loads(answer.read()))


def metrics_of(service: Service) -> str:
    (url,) = re.findall(r"metrics +(http\S+)", service.output)
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def measured(service: Service, words: str) -> None:
    """Metrics follow what happens by a second."""
    end = time.monotonic() + START_S_MAX
    while words not in (told := metrics_of(service)):
        assert time.monotonic() < end, told
        time.sleep(0.05)


def said(service: Service, words: str) -> None:
    end = time.monotonic() + START_S_MAX
    while words not in service.output:
        assert time.monotonic() < end, service.output
        time.sleep(0.05)


def healthy(environ: dict[str, str], path: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "deploy.healthcheck", path], cwd=ROOT, env=environ, check=False
    ).returncode


def test_both_halves_serve_are_replaced_by_a_signal_and_end_with_0(
    services: tuple[Service, Service, dict[str, str]],
) -> None:
    behind, before, environ = services
    assert detected(before.url) == ""
    assert [healthy(environ, path) for path in ("livez", "readyz")] == [0, 0]
    assert 'face_api_worker_restarts_total{reason="died"} 0.0' in metrics_of(behind)
    measured(before, 'face_api_events_total{event="answered"}')
    measured(before, "face_api_links_standing 2.0")
    os.kill(behind.process.pid, signal.SIGHUP)
    said(behind, "replacing: the workers end")
    assert detected(before.url) == ""  # waits for the new worker
    os.kill(before.process.pid, signal.SIGHUP)
    said(before, "replaced: the new workers and gateway serve")
    assert detected(before.url) == ""
    for service in (before, behind):
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(STOP_S_MAX) == exit_codes.OK, service.output
    assert "Traceback" not in behind.output + before.output


async def test_a_worker_that_hangs_is_killed_by_its_pool_and_its_request_is_answered_by_another() -> None:
    async with houses() as them:
        host = await them.workers(2)
        gateway = them.gateway(host)
        await until(lambda: gateway.serving == 2)
        asked = [gateway.ask(picture(value, NAP)) for value in range(100, 104)]
        hanging = await gateway.running_on()
        (pid,) = (one.pid for one in gateway.dispatcher.workers if one.generation == hanging)
        os.kill(pid, signal.SIGSTOP)
        assert [score(detection) for detection in await asyncio.gather(*asked)] == list(range(100, 104))
        counts = gateway.dispatcher.counts
        assert (counts.workers_lost, counts.poisoned, host.deaths()) == (1, 0, 1)
        await until(lambda: gateway.serving == 2)


def test_a_port_that_is_taken_ends_a_host_of_workers_with_78(tmp_path: Path) -> None:
    ports = free_ports(3)
    workers, _ = halves(tmp_path, ports)
    with socket.create_server(("127.0.0.1", ports)):
        service = start(tmp_path / "workers", **workers)
        assert service.process.wait(START_S_MAX) == exit_codes.CONFIGURATION, service.output
        service.close()
    assert f"cannot listen on tcp://127.0.0.1:{ports}" in service.output
    assert "choose another with FACE_API_WIRE_BIND" in service.output
