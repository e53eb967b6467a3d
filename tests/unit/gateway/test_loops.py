"""The background loops of a gateway process: each survives a failure, and one that cannot go on is no secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway.app import create_app
from gateway.dispatching.roster import Roster
from gateway.keys.cache import KeyCache
from gateway.keys.upkeep import Upkeep
from gateway.readiness import Readiness
from gateway.reporting.counters import Counters
from gateway.reporting.metrics import Metrics
from gateway.services import services_of
from shared import supervision
from shared.settings import Settings
from tests.waiting import wait_until

#: What each loop of a process calls in every round.
ROUNDS = {
    "key_cache": (KeyCache, "round"),
    "counts": (Counters, "hand_in"),
    "key_use": (Upkeep, "hand_in"),
    "worker_scan": (Roster, "scan"),
    "worker_heartbeats": (Roster, "beat"),
    "readiness": (Readiness, "look"),
    "metrics": (Metrics, "refresh"),
}


class Plants:
    """Failures in every loop's rounds: as many as `left` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, each: float) -> None:
        self.left, self.rounds = dict.fromkeys(ROUNDS, each), dict.fromkeys(ROUNDS, 0)
        for name, (owner, method) in ROUNDS.items():
            monkeypatch.setattr(owner, method, self._failing(name, getattr(owner, method)))

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def planted(*arguments: Any) -> Any:
            self.rounds[name] += 1
            if self.left[name] > 0:
                self.left[name] -= 1
                raise LookupError("planted")
            return real(*arguments)

        return planted


@contextmanager
def opened(folder: Path) -> Iterator[TestClient]:
    settings = Settings(
        data_dir=str(folder / "var"), runtime_dir=str(folder / "run"), decode_processes=1, key_check_seconds=0.1
    )
    with TestClient(create_app(settings)) as client:
        yield client


def test_every_loop_survives_a_planted_failure_and_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE_S", 0.001)
    plants = Plants(monkeypatch, 1)
    with opened(tmp_path) as client:
        services = services_of({"state": client.app_state})
        wait_until(lambda: all(rounds > 1 for rounds in plants.rounds.values()))
        assert services.loops.failures == dict.fromkeys(ROUNDS, 1)
        assert client.get("/readyz").json()["detail"] == "not ready: no worker is serving"
        services.metrics.refresh()
        for name in ROUNDS:
            count = services.metrics.registry.get_sample_value("face_api_loop_failures_total", {"loop": name})
            assert count == 1


def test_a_loop_that_always_fails_makes_the_service_unready_and_is_named_until_it_goes_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(supervision, "PAUSE_S_MAX", 0.05)
    plants = Plants(monkeypatch, float("inf"))
    with opened(tmp_path) as client:
        for name in ROUNDS:
            words = f"the loop {name} has failed"
            wait_until(lambda words=words: words in client.get("/readyz").text)
            health = client.get("/health")
            assert (health.status_code, health.json()["status"]) == (503, "degraded")
            assert words in health.json()["reason"] and "LookupError" in health.json()["reason"]
            assert "planted" not in health.text
            plants.left[name] = 0
        wait_until(lambda: client.get("/readyz").json()["detail"] == "not ready: no worker is serving")
