"""Jobs and records as the tests use them: real SQLite, a clock that the test moves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.keys.opening import open_store
from gateway.records.job import FoundFace, KeptJob, born
from gateway.records.keeping import Records, open_records
from gateway.stores.database import FILE_NAME, Database, open_database
from shared.settings import Settings
from shared.supervision import Loops

NOW = 1_800_000_000.0
TTL_S = 3600.0


def settings_in(folder: Path, **more: Any) -> Settings:
    return Settings(data_dir=str(folder), **more)


def file_of(folder: Path) -> Path:
    return folder / FILE_NAME


def database_in(folder: Path) -> Database:
    """With its tables."""
    open_store(settings_in(folder)).database.prepare()
    return open_database(settings_in(folder))


def job(key_id: str = "key_a", at: float = NOW, **more: Any) -> KeptJob:
    birth = born(TTL_S, int(at * 1e9))
    facts: dict[str, Any] = {
        "id": birth.id, "key_id": key_id, "request_id": "r", "endpoint": "detect", "state": "done", "created_at": birth.created_at,
        "expires_at": birth.expires_at, "model": "beacon", "parameters": {"max_faces": 2}, "width": 640, "height": 360,
        "faces": 1, "masked": None, "boxes": [FoundFace(1.5, 2.0, 30.0, 40.0, 0.9)], "bytes_in": 7, "bytes_out": 9,
        "sha256_in": "0a", "sha256_out": "0b", "image_id": None, "original_id": None,
    }  # fmt: skip
    return KeptJob(**facts | more)


@contextlib.asynccontextmanager
async def records_in(folder: Path, mode: str, **more: Any) -> AsyncIterator[Records]:
    """Open as in a gateway process."""
    database_in(folder).close()
    loops = Loops()
    async with open_records(settings_in(folder, records=mode, **more), loops) as (records, _):
        assert records is not None
        yield records
    await loops.aclose()
