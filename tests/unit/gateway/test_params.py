"""Parameters: names, ranges, and words that help."""

from __future__ import annotations

import pytest

from gateway.params import DetectParams, MaskParams, parse_params
from shared.errors import BadParameter


def refusal(kind: type, *given: tuple[str, str]) -> str:
    with pytest.raises(BadParameter) as caught:
        parse_params(kind, list(given), [])
    assert caught.value.status == 422
    return str(caught.value)


def test_the_defaults_are_the_api_references() -> None:
    detect, mask = parse_params(DetectParams, [], []), parse_params(MaskParams, [], [])
    assert (detect.confidence, detect.nms_threshold, detect.max_faces) == (0.5, 0.4, 0)
    assert (mask.confidence, mask.nms_threshold, mask.max_faces) == (0.5, 0.4, 0)
    assert (mask.method, mask.strength, mask.padding, mask.format, mask.quality) == ("gaussian", 199, 0.15, "jpeg", 95)


@pytest.mark.parametrize(
    ("name", "low", "high", "below", "above"),
    [
        ("confidence", "0.01", "1.0", "0.0099", "1.01"),
        ("nms_threshold", "0.01", "1", "0", "2"),
        ("max_faces", "0", "100000", "-1", "1.5"),
        ("strength", "1", "999", "0", "1000"),
        ("padding", "0", "2.0", "-0.1", "2.1"),
        ("quality", "1", "100", "0", "101"),
    ],
)
def test_a_range_includes_its_ends_and_nothing_beyond(name: str, low: str, high: str, below: str, above: str) -> None:
    for text in (low, high):
        parse_params(MaskParams, [(name, text)], [])
    for text in (below, above, "", "ten", "nan", "inf", "1e999"):
        words = refusal(MaskParams, (name, text))
        assert words.startswith(f"{name}=")
        assert f"{name} is " in words


@pytest.mark.parametrize("method", ["gaussian", "pixelate", "solid", "elliptical"])
@pytest.mark.parametrize("output", ["jpeg", "png", "webp"])
def test_the_references_methods_and_formats_are_known(method: str, output: str) -> None:
    params = parse_params(MaskParams, [("method", method), ("format", output)], [])
    assert (params.method, params.format) == (method, output)


def test_an_unknown_method_names_the_known_ones() -> None:
    assert "gaussian | pixelate | solid | elliptical" in refusal(MaskParams, ("method", "blur"))


def test_an_unknown_parameter_names_the_nearest() -> None:
    assert "did you mean confidence?" in refusal(DetectParams, ("confidense", "0.5"))
    assert "strength" not in refusal(DetectParams, ("zzz", "0.5"))


def test_query_and_form_may_both_say_the_same_but_not_differ() -> None:
    assert parse_params(DetectParams, [("confidence", "0.6")], [("confidence", "0.6")]).confidence == 0.6
    with pytest.raises(BadParameter, match="given twice and differs"):
        parse_params(DetectParams, [("confidence", "0.6")], [("confidence", "0.7")])


def test_what_a_caller_sent_is_shown_short_and_on_one_line() -> None:
    words = refusal(DetectParams, ("confidence", "x\n" * 1000))
    assert len(words) < 200
    assert "\n" not in words


@pytest.mark.parametrize("side", ["0", "128", "256", "320"])
def test_a_second_look_has_only_sides_that_cost_little(side: str) -> None:
    assert parse_params(DetectParams, [("second_side", side)], []).second_side == int(side)
    assert "second_side is 0 | 128" in refusal(DetectParams, ("second_side", "640"))
