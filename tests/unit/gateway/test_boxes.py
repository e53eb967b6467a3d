"""Lists of boxes and indices: what is read, and the words for what is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.boxes import COORDINATE_MAX, PICKS_MAX, read
from gateway.params import DetectParams, MaskParams, parse_params
from shared.errors import BadParameter


def test_a_list_holds_indices_and_boxes_in_either_form() -> None:
    text = '[0, [10, 20.5, 110, 140], {"x1": -1, "y1": 2, "x2": 3e2, "y2": 4}, 7]'
    assert read(text, indices=True) == ((0, (10, 20.5, 110, 140), (-1, 2, 300, 4), 7), "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[1, 2, 3]", "not JSON"),
        ("[[1, 2, NaN, 4]]", "not JSON"),
        ("[[1, 2, 1e999, 4]]", "not JSON"),
        ("[" * 8000, "not JSON"),
        ('{"a":' * 1500, "not JSON"),
        ("[[1, 2, 3, 4]] x", "not JSON"),
        ("\ud800", "not JSON"),
        ("5", "not a list"),
        ('{"x1": 1}', "not a list"),
        ("[[1, 2, 3]]", "entry 0 is not four numbers"),
        ("[[1, 2, 3, 4], [[1, 2, 3, 4]]]", "entry 1 is not four numbers"),
        ("[[1, 2, true, 4]]", "entry 0 is not four numbers"),
        ('[[1, 2, "3", 4]]', "entry 0 is not four numbers"),
        ('[{"x1": 1, "y1": 2, "x2": 3}]', "entry 0 is not four numbers"),
        ("[null]", "entry 0 is not four numbers"),
        ("[1.5]", "entry 0 is not four numbers"),
        ("[[3, 2, 1, 4]]", "entry 0 is empty: x1 must be less than x2"),
        ("[[1, 2, 3, 2]]", "entry 0 is empty"),
        ("[[0, 0, 1e7, 5]]", "entry 0 reaches beyond 1,000,000 pixels"),
        (f"[[0, 0, {10**400}, 5]]", "entry 0 reaches beyond 1,000,000 pixels"),
        ("[-1]", "entry 0 is no index of a face"),
        (f"[{10**30}]", "entry 0 is no index of a face"),
        (json.dumps([0] * (PICKS_MAX + 1)), "has 257 entries"),
    ],
)
def test_what_is_no_such_list_is_told(text: str, words: str) -> None:
    picks, told = read(text, indices=True)
    assert picks is None
    assert words in told


def test_an_index_is_no_box() -> None:
    assert read("[0]", indices=False) == (None, "is not allowed: its entry 0 is not four numbers")


@given(st.text(max_size=60) | st.text('[]{}0123456789.,-"xy:e ', max_size=60))
def test_any_text_is_boxes_with_area_or_refused(text: str) -> None:
    picks, words = read(text, indices=False)
    assert (picks is None) == bool(words)
    for x1, y1, x2, y2 in picks or ():  # type: ignore[misc]
        assert -COORDINATE_MAX <= x1 < x2 <= COORDINATE_MAX
        assert -COORDINATE_MAX <= y1 < y2 <= COORDINATE_MAX


def test_a_wrong_list_is_refused_with_what_it_should_be() -> None:
    with pytest.raises(BadParameter) as caught:
        parse_params(MaskParams, [("regions", "[[5, 5, 1, 9]]")], [])
    assert str(caught.value) == (
        "regions='[[5, 5, 1, 9]]' is not allowed: its entry 0 is empty: x1 must be less than x2, and y1 less than y2; "
        "regions is a JSON list, at most 256 long, of boxes [x1, y1, x2, y2] in pixels, such as [[10, 20, 110, 140]]"
    )


def test_only_nobody_is_refused_since_it_would_show_everybody() -> None:
    assert parse_params(MaskParams, [("keep", "[]"), ("regions", "[]"), ("ignore", "[]")], []) == MaskParams()
    with pytest.raises(BadParameter, match="names nobody, so leave it out"):
        parse_params(MaskParams, [("only", "[]")], [])


def test_a_list_may_be_a_form_field_and_may_be_there_twice_when_it_is_the_same() -> None:
    both = parse_params(DetectParams, [("ignore", "[[1,2,3,4]]")], [("ignore", "[[1, 2.0, 3, 4]]")])
    assert both.ignore == ((1, 2, 3, 4),)
    with pytest.raises(BadParameter, match="given twice and differs"):
        parse_params(DetectParams, [("ignore", "[[1,2,3,4]]")], [("ignore", "[[1,2,3,5]]")])
