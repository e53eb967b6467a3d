"""A key store on a file, as the tests use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.keys.audit import Actor, AuditRow, entries
from gateway.keys.opening import open_store, peppers_for
from gateway.keys.pepper import Peppers
from gateway.keys.store import Store
from shared.settings import Settings

ME = Actor("test", "127.0.0.1")
NOW = 1_800_000_000.0


def settings_in(folder: Path, **more: Any) -> Settings:
    return Settings(data_dir=str(folder / "var"), runtime_dir=str(folder / "run"), **more)


def made_store(folder: Path, **more: Any) -> tuple[Store, Peppers]:
    settings = settings_in(folder, **more)
    store = open_store(settings)
    return store, peppers_for(settings, store)


def audit_of(store: Store) -> list[AuditRow]:
    with store.database.read() as connection:
        return entries(connection)
