"""A caller's trace is taken over where it is well formed and replaced where it is not; stages of a traced request have times."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.timings import DatedTimings, Timings
from gateway.trace_context import HEADER, Trace, trace_of

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WELL = f"00-{TRACE_ID}-{SPAN_ID}-01"


def of(*values: str, share: float = 0.0) -> Trace | None:
    return trace_of([(b"host", b"a"), *((HEADER, value.encode("latin-1")) for value in values)], share)


def test_a_callers_trace_goes_on_with_a_span_of_this_request() -> None:
    trace = of(WELL)
    assert trace is not None
    assert (trace.trace_id, trace.parent_id, trace.sampled, trace.asked) == (TRACE_ID, SPAN_ID, True, True)
    assert trace.told == f"00-{TRACE_ID}-{trace.span_id}-01"
    assert trace.span_id not in (SPAN_ID, "0" * 16)


@pytest.mark.parametrize(
    ("value", "sampled"),
    [(f" {WELL}\t", True), (WELL[:-1] + "0", False), (WELL[:-2] + "fe", False), ("01" + WELL[2:] + "-what comes later", True)],
)  # fmt: skip
def test_flags_and_later_versions_are_read_as_far_as_they_are_known(value: str, sampled: bool) -> None:
    trace = of(value)
    assert trace is not None
    assert (trace.trace_id, trace.sampled) == (TRACE_ID, sampled)
    assert trace_of([(HEADER, trace.told.encode())], 0.0) is not None


@pytest.mark.parametrize(
    "values",
    [
        [""], ["nonsense"], [WELL, WELL], [WELL.upper()], [WELL + "-more"], [WELL + "\n"], ["ff" + WELL[2:]], [WELL[:-1]],
        [f"00-{'0' * 32}-{SPAN_ID}-01"], [f"00-{TRACE_ID}-{'0' * 16}-01"], [WELL.replace("-", "_")], ["\xb2" * 55],
        [f"00-{TRACE_ID}x-{SPAN_ID}-01"], ["01" + WELL[2:] + "x"], [WELL * 200],
    ],
)  # fmt: skip
def test_a_malformed_trace_is_replaced_and_never_an_error(values: list[str]) -> None:
    trace = of(*values)
    assert trace is not None
    assert (trace.parent_id, trace.sampled, trace.asked) == ("", False, True)
    assert trace.trace_id not in (TRACE_ID, "0" * 32)
    assert of(trace.told) is not None


def test_without_a_trace_none_begins_unless_requests_are_traced() -> None:
    assert of() is None
    trace = of(share=1.0)
    assert trace is not None
    assert (trace.parent_id, trace.sampled, trace.asked) == ("", True, False)


def test_a_share_of_the_traces_that_begin_here_is_sampled() -> None:
    sampled = Counter(trace.sampled for _ in range(2000) if (trace := of(share=0.25)))
    assert 350 < sampled[True] < 650


def test_stages_booked_together_are_dated_one_after_the_other() -> None:
    timings = DatedTimings(Timings())
    timings.lap("auth")
    for stage, milliseconds in (("decode", 20.0), ("inference", 30.0)):
        timings.add(stage, milliseconds)
    timings.skip()
    timings.add("mask", 5.0)
    stages = {stage: (began, ended) for stage, began, ended in timings.dated()}
    assert set(stages) == {"auth", "decode", "inference", "mask"}
    assert {stage: round(ended - began, 6) for stage, (began, ended) in stages.items() if stage != "auth"} == {
        "decode": 0.02, "inference": 0.03, "mask": 0.005,
    }  # fmt: skip
    assert stages["decode"][1] == pytest.approx(stages["inference"][0])
    assert stages["auth"][0] >= timings.began
    assert [name for name, _ in timings.stages()] == ["auth", "decode", "inference", "mask"]
