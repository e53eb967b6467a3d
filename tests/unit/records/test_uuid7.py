"""UUIDs of version 7: valid, in the order of their making, never the same."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway.records.job import born_now
from gateway.records.uuid7 import uuid7

MOMENTS = st.integers(0, 2**62)
TAILS = st.integers(0, 2**64 - 1)


@given(MOMENTS, TAILS)
def test_it_is_a_valid_version_7_uuid_of_its_millisecond(now_ns: int, tail: int) -> None:
    made = uuid7(now_ns, tail)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == now_ns // 1_000_000


@given(MOMENTS, MOMENTS, TAILS, TAILS)
def test_as_text_it_sorts_by_time_to_a_quarter_of_a_microsecond(one: int, other: int, tail: int, more: int) -> None:
    earlier, later = sorted((one, other))
    if later - earlier >= 250:
        assert str(uuid7(earlier, tail)) < str(uuid7(later, more))


def test_many_made_at_once_differ_and_sort() -> None:
    made = [born_now(1.0).id for _ in range(5000)]
    assert len(set(made)) == len(made)


def test_the_example_of_the_rfc() -> None:
    """RFC 9562, appendix A.6, whose twelve bits behind the milliseconds are random: 0xCC3."""
    now_ns = 0x017F22E279B0 * 1_000_000 + -(-0xCC3 * 1_000_000 // 4096)
    assert str(uuid7(now_ns, 0x18C4DC0C0C07398F)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
