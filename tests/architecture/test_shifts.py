"""How tests are spread over processes."""

from __future__ import annotations

from tests import shifts
from tests.architecture.rules import ROOT


def test_what_begins_first_or_stays_together_is_there() -> None:
    assert [name for name in (*shifts.LONG, *shifts.TOGETHER) if not (ROOT / name).exists()] == []


def test_files_that_share_a_service_are_one_shift_and_every_other_is_one_of_its_own() -> None:
    one, other = (f"tests/contract/test_{name}.py::test_it[a::b]" for name in ("http", "wire"))
    assert shifts.shift_of(one) == shifts.shift_of(other) == "tests/contract/"
    assert shifts.shift_of("tests/chaos/test_storm.py::test_it[a::b]") == "tests/chaos/test_storm.py"


def test_the_longest_begin_first_and_what_is_not_named_comes_last() -> None:
    files = ("tests/unit/shared/test_nms.py::test_it", "tests/golden/test_golden_over_http.py::test_it[1]")
    assert sorted(files, key=shifts.turn_of) == [files[1], files[0]]
