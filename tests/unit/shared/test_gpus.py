"""The driver is asked once and believed; without one there is no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.gpus import answering_gpus, describe_gpus, gpus_to_use

TWO_CARDS = """#!/bin/sh
case "$1" in
-L) echo "GPU 0: NVIDIA H100 (UUID: GPU-1)"; echo "GPU 1: NVIDIA H100 (UUID: GPU-2)"; echo "  MIG 1g.10gb Device 0" ;;
*) echo "NVIDIA H100, 580.65.06, 81559"; echo "NVIDIA H100, 580.65.06, 81559" ;;
esac
"""


def driver_that_says(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a stand-in for nvidia-smi first on the path."""
    tool = folder / "nvidia-smi"
    tool.write_text(script)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_cards_are_counted_and_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver_that_says(TWO_CARDS, tmp_path, monkeypatch)
    assert answering_gpus() == 2
    assert describe_gpus()[0] == {"name": "NVIDIA H100", "driver_version": "580.65.06", "memory.total": "81559"}


def test_cards_are_left_alone_when_the_cpu_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver_that_says(TWO_CARDS, tmp_path, monkeypatch)
    assert gpus_to_use("cpu") == 0
    assert gpus_to_use("auto") == gpus_to_use("gpu") == 2


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 9\n", "not a program at all\n"])
def test_a_driver_that_fails_is_no_gpu(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver_that_says(script, tmp_path, monkeypatch)
    assert answering_gpus() == 0
    assert describe_gpus() == []


def test_without_a_driver_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert answering_gpus() == 0
