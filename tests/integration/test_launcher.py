"""The launcher: starts whole or not at all, ends whole however it ends, and leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import httpx2
import pytest

from tests.networks import beacon_network, beacon_picture
from tests.service import START_S_MAX, STOP_S_MAX, Service, is_running, processes_below, running_service, start


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return beacon_network(tmp_path_factory.mktemp("model") / "beacon.onnx")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def ended(service: Service) -> int:
    try:
        return service.process.wait(START_S_MAX)
    finally:
        service.close()


def until_gone(pids: list[int]) -> list[int]:
    """The processes still running after a generous while."""
    until = time.monotonic() + STOP_S_MAX
    while time.monotonic() < until and any(map(is_running, pids)):
        time.sleep(0.1)
    return [pid for pid in pids if is_running(pid)]


def test_over_tcp_the_service_answers_as_over_unix_sockets(model: Path, data_dir: Path) -> None:
    import cv2

    png = cv2.imencode(".png", beacon_picture([(200.0, 200.0, 100.0, 0.9)]))[1].tobytes()
    with running_service(data_dir, model=model, precision="fp32", transport="tcp", gateway_processes=2) as service:
        for _ in range(4):
            answer = httpx2.post(f"{service.url}/api/v1/detect", files={"image": png}, timeout=60)
            assert answer.json()["summary"]["face_count"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_process_and_leaves_no_file(
    model: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    service = start(data_dir, model=model, precision="fp32")
    assert service.ready.wait(START_S_MAX)
    assert service.url, service.output
    family = processes_below(service.process.pid)
    assert len(family) >= 4
    service.process.send_signal(number)
    assert ended(service) == 0, service.output
    assert until_gone(family) == []
    assert [path.name for path in tmp_path.glob("face-api-*")] == []


def test_a_killed_launcher_takes_everything_with_it(model: Path, data_dir: Path) -> None:
    service = start(data_dir, model=model, precision="fp32")
    assert service.ready.wait(START_S_MAX)
    family = processes_below(service.process.pid)
    service.process.kill()
    ended(service)
    assert until_gone(family) == []


def test_a_port_in_use_is_told_at_once(model: Path, data_dir: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        service = start(data_dir, model=model, port=port)
        assert ended(service) == 78
    assert f"cannot listen on 127.0.0.1:{port}" in service.output
    assert "PORT=" in service.output


def test_a_missing_model_stops_the_start_with_the_command_that_mends_it(data_dir: Path) -> None:
    service = start(data_dir, model="scrfd_10g")
    assert ended(service) == 78
    assert "python -m models pull scrfd_10g" in service.output


def test_wrong_settings_are_all_told_together(data_dir: Path) -> None:
    service = start(data_dir, workers="many", input_side=641)
    assert ended(service) == 78
    assert "FACE_API_WORKERS=many" in service.output
    assert "FACE_API_INPUT_SIDE=641" in service.output


def test_a_file_that_is_no_network_stops_the_start(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    service = start(data_dir, model=tmp_path / "broken.onnx")
    assert ended(service) == 78
    assert "broken.onnx" in service.output
