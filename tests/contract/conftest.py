"""One service with a beacon network for all contract tests: quick, and its answers are known."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.networks import beacon_network
from tests.service import SMALL, Service, running_service


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("contract")
    model = beacon_network(folder / "beacon.onnx")
    with running_service(folder / "data", model=model, precision="fp32", max_image_bytes=2_000_000, **SMALL) as running:
        yield running


@pytest.fixture(scope="package")
def client(service: Service) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=service.url, timeout=60) as opened:
        yield opened
