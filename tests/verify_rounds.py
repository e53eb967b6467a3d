"""`make verify`: a process that keeps pictures is killed at every step, and no id, row or object is lost or left over.

`python -m tests.records_rounds` runs more rounds, and against PostgreSQL and a bucket.
"""

from __future__ import annotations

from pathlib import Path

from shared.settings import Settings
from tests.records_rounds import STEPS, rounds


def test_nothing_is_lost_and_nothing_left_whenever_it_is_killed(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), storage_url=(tmp_path / "pictures").as_uri(), records="required")
    told = rounds(settings, 2 * len(STEPS))
    assert told["rows"] >= told["told"] > 0  # what was committed and not told of any more is there all the same
    assert (told["lost"], told["differ"], told["after_erasure"]) == (0, 0, 0)
