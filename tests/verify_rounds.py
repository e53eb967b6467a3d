"""`make verify`: service, database and storage are killed at every step of their order, and nothing is lost or left over.

`python -m tests.rounds` runs more rounds.
"""

from __future__ import annotations

import pytest

from tests.rounds.__main__ import WHO, rounds
from tests.rounds.gateway import STEPS


@pytest.mark.parametrize(("place", "count"), [("file", len(STEPS)), ("servers", 2 * len(WHO))])
def test_nothing_is_lost_and_nothing_left_whatever_is_killed(place: str, count: int) -> None:
    report = rounds(place, 0, count)
    assert report["rounds"] == count
    assert report["told"] > 0
    assert [report[what] for what in ("lost", "twice", "broken", "differ", "after_erasure")] == [0] * 5
