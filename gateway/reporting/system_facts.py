"""What this installation is: versions, effective settings with secrets masked, stores, and the model that serves."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gateway.keys.keeping import Keys
from gateway.reporting.counters import Counters
from shared.settings import Settings
from shared.settings_told import describe

PACKAGES: tuple[str, ...] = (
    *("starlette", "gunicorn", "uvicorn", "pyzmq", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless"),
    *("numpy", "sqlalchemy", "redis", "msgspec"),
)


def system_facts(settings: Settings, keys: Keys, counters: Counters) -> dict[str, Any]:
    """JSON-ready; holds no secret."""
    workers = {worker.name: worker for said in counters.present() for worker in said.workers}
    models = {(w.model, w.precision, w.provider, w.license, w.note) for w in workers.values()}
    return {
        "versions": versions(),
        "models": [dict(zip(_MODEL_FACTS, model, strict=True)) for model in sorted(models)],
        "key_store": {
            "kind": keys.store.database.kind,
            "ready": keys.cache.ready,
            "pepper": keys.cache.peppers.current,
            "several_hosts": bool(settings.database_url),
        },
        "rate_limit": {"across_hosts": bool(settings.redis_url), "enabled": settings.rate_limit_enabled},
        "settings": describe(settings),
    }


_MODEL_FACTS = ("name", "precision", "provider", "license", "note")


def versions() -> dict[str, str]:
    """Of this program's parts, as installed."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
