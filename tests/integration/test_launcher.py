"""The launcher: starts whole or not at all, ends whole however it ends, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import httpx2
import pytest

from tests.networks import beacon_picture
from tests.service import (
    ROOT,
    SMALL,
    START_S_MAX,
    STOP_S_MAX,
    Service,
    environment,
    is_running,
    processes_below,
    start,
)
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's temporary folder of all services, with a short path: unix sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="fa-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


Launch = Callable[..., Service]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Starts launchers; whatever becomes of the test, none of them and nothing below is left behind."""
    launched: list[Service] = []

    def begin(data_dir: Path, **settings: object) -> Service:
        launched.append(start(data_dir, **settings))
        return launched[-1]

    yield begin
    for service in launched:
        service.close()


def ended(service: Service) -> int:
    """Its exit code, when all it said is here."""
    code = service.process.wait(START_S_MAX)
    service.close()
    return code


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared") / "run"


@pytest.fixture(scope="module")
def shared(model: Path, data_dir: Path, folder: Path) -> Iterator[Service]:
    """One service for all but the last, which ends it: over tcp, in a folder that was set, logged for programs."""
    wanted = {"transport": "tcp", "gateway_processes": 2, "workers": 2, "log_format": "json", "runtime_dir": folder}
    with closing(start(data_dir, model=model, precision="fp32", decode_processes=1, **wanted)) as service:
        assert service.ready.wait(START_S_MAX)
        yield service
    assert {"launcher", "pool"} <= {line["part"] for line in logged(service)}


def logged(service: Service) -> list[dict[str, Any]]:
    """Every line so far but the block for people; all of them are JSON."""
    before, block = service.output.split("\nface-api is ready at ", 1)
    after = block.split("stop it", 1)[1].splitlines()[1:]
    return [json.loads(line) for line in [*before.splitlines(), *after] if line]


def test_over_tcp_the_service_answers_as_over_unix_sockets(shared: Service) -> None:
    png = cv2.imencode(".png", beacon_picture([(200.0, 200.0, 100.0, 0.9)]))[1].tobytes()
    for _ in range(4):
        answer = httpx2.post(f"{shared.url}/api/v1/detect", files={"image": png}, timeout=60)
        assert answer.json()["summary"]["face_count"] == 1


def test_a_runtime_folder_in_use_is_told_at_once(
    launch: Launch, shared: Service, model: Path, data_dir: Path, folder: Path
) -> None:
    second = launch(data_dir, model=model, precision="fp32", runtime_dir=folder)
    assert ended(second) == 78
    assert f"FACE_API_RUNTIME_DIR={folder} is in use" in second.output
    assert httpx2.get(f"{shared.url}/readyz", timeout=60).status_code == 200


def test_every_line_but_the_block_for_people_is_a_log_line_that_says_by_whom(shared: Service) -> None:
    assert "  2 workers (" in shared.output.split("\nface-api is ready at ", 1)[1]
    worker = next(pid for pid in processes_below(shared.process.pid) if b"--slot" in command_of(pid))
    os.kill(worker, signal.SIGABRT)
    wait_until(lambda: "a replacement starts" in shared.output)
    (lost,) = (line for line in logged(shared) if "a replacement starts" in line["event"])
    assert (lost["part"], lost["why"]) == ("pool", "it was killed by SIGABRT")


def test_the_pool_when_it_is_killed_takes_its_children_with_it_and_ends_the_service(shared: Service) -> None:
    """The last one that uses it."""
    part_is_killed(shared, b"worker.pool")


def test_the_gateways_master_when_it_is_killed_does_the_same(launch: Launch, model: Path, data_dir: Path) -> None:
    service = launch(data_dir, model=model, precision="fp32", **SMALL)
    assert service.ready.wait(START_S_MAX)
    assert service.url, service.output
    part_is_killed(service, b"gunicorn")


def part_is_killed(service: Service, word: bytes) -> None:
    family = processes_below(service.process.pid)
    parts = [pid for pid in children(service.process.pid) if word in command_of(pid)]
    os.kill(parts[0], signal.SIGKILL)
    assert ended(service) == 1
    wait_until(lambda: not any(map(is_running, family)))
    assert "a part ended by itself" in service.output


def test_a_killed_launcher_takes_everything_with_it_and_the_next_start_removes_its_folder_and_at_ctrl_c_its_own(
    launch: Launch, model: Path, data_dir: Path, temporary: Path
) -> None:
    """What SIGTERM leaves is looked at wherever a service runs, by `running_service`."""
    service = launch(data_dir, model=model, precision="fp32", **SMALL)
    assert service.ready.wait(START_S_MAX)
    family = processes_below(service.process.pid)
    assert len(family) >= 4
    service.process.kill()
    ended(service)
    wait_until(lambda: not any(map(is_running, family)))
    left = set(temporary.glob("face-api-*"))
    assert len(left) == 1

    following = launch(data_dir, model=model, precision="fp32", **SMALL)
    assert following.ready.wait(START_S_MAX)
    assert following.url, following.output
    (folder,) = temporary.glob("face-api-*")
    assert folder not in left
    family = processes_below(following.process.pid)
    following.process.send_signal(signal.SIGINT)
    assert ended(following) == 0, following.output
    wait_until(lambda: not any(map(is_running, family)))
    assert list(temporary.glob("face-api-*")) == []


def test_a_folder_whose_path_is_too_long_for_sockets_is_told_at_once(
    launch: Launch, model: Path, data_dir: Path, temporary: Path
) -> None:
    service = launch(data_dir, model=model, runtime_dir=temporary / ("x" * 80))
    assert ended(service) == 78
    assert "is too long for unix sockets" in service.output
    assert "FACE_API_RUNTIME_DIR" in service.output


def test_a_port_in_use_is_told_at_once(launch: Launch, model: Path, data_dir: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        service = launch(data_dir, model=model, port=port)
        assert ended(service) == 78
    assert f"cannot listen on 127.0.0.1:{port}" in service.output
    assert "PORT=" in service.output


@pytest.mark.parametrize("application", ["tests.integration.unwilling:application", "tests.there_is_no_such_file:app"])
def test_a_gateway_process_that_cannot_start_ends_gunicorn_too(tmp_path: Path, application: str) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", application]
    env = environment(data_dir=tmp_path, runtime_dir=tmp_path, gateway_processes=1)
    assert subprocess.run(command, cwd=ROOT, env=env, timeout=STOP_S_MAX, check=False).returncode == 3


def test_a_missing_model_stops_the_start_with_the_command_that_mends_it(launch: Launch, data_dir: Path) -> None:
    service = launch(data_dir, model="scrfd_10g", **SMALL)
    assert ended(service) == 78
    assert "python -m models pull scrfd_10g" in service.output


def test_wrong_settings_are_all_told_together(launch: Launch, data_dir: Path) -> None:
    service = launch(data_dir, workers="many", input_side=641)
    assert ended(service) == 78
    assert "FACE_API_WORKERS=many" in service.output
    assert "FACE_API_INPUT_SIDE=641" in service.output
