"""What this installation is: versions, effective settings with secrets masked, stores, and the model that serves."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version

import msgspec

from gateway.keys.keeping import Keys
from gateway.reporting.counters import Counters
from shared.settings import Settings
from shared.settings_told import Setting, describe

PACKAGES: tuple[str, ...] = (
    *("starlette", "gunicorn", "uvicorn", "pyzmq", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless"),
    *("numpy", "sqlalchemy", "redis", "msgspec"),
)


class ServedModel(msgspec.Struct, frozen=True, order=True):
    name: str
    precision: str
    provider: str
    license: str
    note: str


class KeyStore(msgspec.Struct, frozen=True):
    kind: str
    ready: bool
    pepper: str
    several_hosts: bool


class RateLimiting(msgspec.Struct, frozen=True):
    across_hosts: bool
    enabled: bool


class System(msgspec.Struct, frozen=True):
    versions: dict[str, str]
    models: list[ServedModel]
    key_store: KeyStore
    rate_limit: RateLimiting
    settings: list[Setting]


def system_of(settings: Settings, keys: Keys, counters: Counters) -> System:
    """Holds no secret."""
    workers = {worker.name: worker for said in counters.present() for worker in said.workers}
    models = {ServedModel(w.model, w.precision, w.provider, w.license, w.note) for w in workers.values()}
    return System(
        versions(),
        sorted(models),
        KeyStore(keys.store.database.kind, keys.cache.ready, keys.cache.peppers.current, bool(settings.database_url)),
        RateLimiting(bool(settings.redis_url), settings.rate_limit_enabled),
        describe(settings),
    )


def versions() -> dict[str, str]:
    """Of this program's parts, as installed."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
