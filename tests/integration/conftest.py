"""What tests of whole services share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.networks import beacon_network


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose faces are drawn beacons."""
    return beacon_network(tmp_path_factory.mktemp("model") / "beacon.onnx")
