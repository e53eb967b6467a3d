"""What is asked of the operating system, and what follows from it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from deploy.launch import settled
from shared import processes
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (7, 1), (8, 2), (32, 8), (128, 8)])
def test_the_machine_chooses_the_gateway_processes_alike_for_launcher_and_gunicorn(
    cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "usable_cores", lambda: cores)
    monkeypatch.delenv("FACE_API_GATEWAY_PROCESSES", raising=False)
    assert settled(Settings()).gateway_processes == expected
    assert runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))["workers"] == expected
    assert processes.gateway_processes(3) == 3
