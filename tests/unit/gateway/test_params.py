"""Parameters: names, ranges, and words that help."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.params import DetectParams, MaskParams, parse_params
from gateway.unknown_names import ignored_names, shown
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
    for text in (below, above, "ten", "nan", "inf", "1e999"):
        words = refusal(MaskParams, (name, text))
        assert words.startswith(f"{name}=")
        assert f"{name} is " in words


def test_a_number_may_have_a_word_beside_it() -> None:
    assert parse_params(MaskParams, [("quality", "keep")], []).options.keeps
    assert not parse_params(MaskParams, [("quality", "95.0")], []).options.keeps
    assert refusal(MaskParams, ("quality", "kept")).endswith("quality is 1 to 100 or keep")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("Off", False), ("tell", "tell"), ("", None)])
def test_a_yes_or_no_may_have_a_word_beside_it(text: str, value: object) -> None:
    assert parse_params(DetectParams, [("closer", text)], []).closer is value
    words = refusal(MaskParams, ("closer", "Tell"))
    assert words == "closer='Tell' is neither true nor false nor tell; closer is true | false | tell"


@pytest.mark.parametrize("method", ["gaussian", "pixelate", "solid", "elliptical"])
@pytest.mark.parametrize("output", ["jpeg", "png", "webp"])
def test_the_references_methods_and_formats_are_known(method: str, output: str) -> None:
    params = parse_params(MaskParams, [("method", method), ("format", output)], [])
    assert (params.method, params.format) == (method, output)


@pytest.mark.parametrize("text", [".7", "+0.7", "7e-1", "7E-01", "0.70", " 0.7 ", "00.7"])
def test_a_number_is_its_value_in_query_and_form(text: str) -> None:
    assert parse_params(DetectParams, [("confidence", text)], []).confidence == 0.7
    assert parse_params(DetectParams, [], [("confidence", text)]).confidence == 0.7


@pytest.mark.parametrize("text", ["20", "+20", "020", "20.0", "20.", "2e1", "2E+01", "200e-1", "\t20\r\n"])
def test_an_integer_is_its_value(text: str) -> None:
    assert parse_params(MaskParams, [("strength", text), ("second_side", "128.0")], []).strength == 20


@pytest.mark.parametrize("text", ["0,5", "0x1p-1", "1_000", "５", "٠.٥", "1 0", "0" * 5000, "1e999999999", "-inf"])
@pytest.mark.parametrize("name", ["confidence", "padding", "max_faces", "quality", "second_side"])
def test_what_is_no_number_is_told_so_in_few_words(name: str, text: str) -> None:
    words = refusal(MaskParams, (name, text))
    assert words.startswith(f"{name}=")
    assert f"; {name} is " in words
    assert len(words) < 200


@given(st.floats(0.01, 1.0))
def test_what_programs_print_for_a_value_is_that_value(value: float) -> None:
    exact = repr(value)
    for text in (
        exact,
        f"{value:.17e}",
        f"{value:+.17g}",
        f"{Decimal(exact):f}",
        f"{Decimal(exact):E}",
        exact.removeprefix("0"),
    ):
        found = parse_params(DetectParams, [("confidence", text)], [("confidence", exact), ("nms_threshold", text)])
        assert (found.confidence, found.nms_threshold) == (value, value)


@given(st.sampled_from(MaskParams.__struct_fields__), st.text() | st.text("0123456789.eE+-_ #abcdef", max_size=12))
def test_any_text_is_a_value_in_range_or_refused(name: str, text: str) -> None:
    with contextlib.suppress(BadParameter):
        msgspec.convert(msgspec.to_builtins(parse_params(MaskParams, [(name, text)], [])), MaskParams)


def test_a_fraction_is_told_that_a_whole_number_is_wanted() -> None:
    assert "whole number" in refusal(DetectParams, ("max_faces", "5.5"))


def test_an_empty_value_is_a_missing_one() -> None:
    for name in MaskParams.__struct_fields__:
        for empty in ("", " ", "\r\n"):
            assert parse_params(MaskParams, [(name, empty)], [(name, empty)]) == MaskParams()
    assert parse_params(MaskParams, [("method", ""), ("method", "solid")], [("method", "")]).method == "solid"


def test_the_same_value_twice_may_be_written_differently() -> None:
    assert parse_params(DetectParams, [("confidence", "0.5")], [("confidence", ".5")]).confidence == 0.5
    assert parse_params(MaskParams, [("strength", "20")], [("strength", "2e1")]).strength == 20
    with pytest.raises(BadParameter, match="given twice and differs: '20' and '21'"):
        parse_params(MaskParams, [("strength", "20"), ("strength", "21")], [])


def test_an_unknown_method_names_the_known_ones() -> None:
    assert "gaussian | pixelate | solid | elliptical" in refusal(MaskParams, ("method", "blur"))


def test_an_unknown_parameter_names_the_nearest() -> None:
    assert "did you mean confidence?" in refusal(DetectParams, ("confidense", "0.5"))
    assert "strength" not in refusal(DetectParams, ("zzz", "0.5"))


def test_query_and_form_may_both_say_the_same_but_not_differ() -> None:
    assert parse_params(DetectParams, [("confidence", "0.6")], [("confidence", "0.6")]).confidence == 0.6
    with pytest.raises(BadParameter, match="given twice and differs"):
        parse_params(DetectParams, [("confidence", "0.6")], [("confidence", "0.7")])


@pytest.mark.parametrize("sent", ["x\n" * 1000, "\0" * 40, "\U000e0001" * 40])
def test_what_a_caller_sent_is_shown_short_and_on_one_line(sent: str) -> None:
    words = refusal(DetectParams, ("confidence", sent))
    assert len(words) < 200
    assert "\n" not in words


@pytest.mark.parametrize(
    ("text", "told"), [("a" * 40, "a" * 40), ("a" * 41, "a" * 37 + "..."), ("it's " * 9, "it's " * 7 + "it...")]
)
def test_only_what_is_cut_ends_in_dots(text: str, told: str) -> None:
    assert shown(text)[1:-1] == told


@pytest.mark.parametrize("side", ["0", "128", "256", "320"])
def test_a_second_look_has_only_sides_that_cost_little(side: str) -> None:
    assert parse_params(DetectParams, [("second_side", side)], []).second_side == int(side)
    assert "second_side is 0 | 128" in refusal(DetectParams, ("second_side", "640"))


#: What Dropzone, Uppy, Fine Uploader, Resumable, Flow, Plupload and web frameworks put into a form.
WIDGETS = [
    "dzuuid",
    "dzchunkindex",
    "dztotalfilesize",
    "dzchunksize",
    "dztotalchunkcount",
    "dzchunkbyteoffset",
    "name",
    "type",
    "relativePath",
    "filename",
    "qquuid",
    "qqfilename",
    "qqtotalfilesize",
    "resumableChunkNumber",
    "resumableIdentifier",
    "flowFilename",
    "flowTotalSize",
    "chunk",
    "chunks",
    "fileId",
    "fileSize",
    "uploadToken",
    "MAX_FILE_SIZE",
    "submit",
    "utf8",
    "commit",
    "authenticity_token",
    "csrfmiddlewaretoken",
    "_token",
    "_csrf",
    "_method",
    "__RequestVerificationToken",
    "__VIEWSTATE",
    "__EVENTTARGET",
    "form_build_id",
    "form_id",
    "form_token",
    "_wpnonce",
    "_charset_",
    "lastModified",
    "id",
    "g-recaptcha-response",
    "cf-turnstile-response",
    "upload_preset",
    "folder",
    "tags",
    "title",
    "description",
    "timestamp",
    "signature",
]


@pytest.mark.parametrize("kind", [DetectParams, MaskParams])
def test_fields_of_widgets_and_frameworks_are_ignored_and_named(kind: type) -> None:
    fields = [(name, "x") for name in WIDGETS]
    assert parse_params(kind, [], fields) == kind()
    assert ignored_names(kind.__struct_fields__, [], fields) == ", ".join(WIDGETS)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Strength", "strength"), ("strenght", "strength"), ("blur_strength", "strength"), ("kernelSize", "strength"), ("blocksize", "strength"), ("blur_radius", "method or strength"), ("expand", "padding"),
        ("methode", "method"), ("mask-method", "method"), ("conf", "confidence"), ("min_confidence", "confidence"),
        ("nmsThreshold", "nms_threshold"), ("iou", "nms_threshold"), ("maxFaces", "max_faces"), ("padidng", "padding"),
        ("output_format", "format"), ("colour", "color"), ("jpegQuality", "quality"), ("strength[]", "strength"),
    ],
)  # fmt: skip
def test_a_field_that_may_be_meant_as_a_parameter_is_never_ignored(name: str, meant: str) -> None:
    with pytest.raises(BadParameter, match=rf"unknown form field .*; did you mean {meant}\? Known: "):
        parse_params(MaskParams, [], [(name, "1")])


def test_a_mask_parameter_sent_to_detect_is_told_where_it_belongs() -> None:
    for name in set(MaskParams.__struct_fields__) - set(DetectParams.__struct_fields__):
        with pytest.raises(BadParameter, match=r"it belongs to /api/v1/mask\. Known: "):
            parse_params(DetectParams, [], [(name, "1")])


def test_unknown_query_names_are_refused_but_for_cache_busters() -> None:
    assert parse_params(DetectParams, [("_", "1732770000000"), ("_dc", "1")], []) == DetectParams()
    for name, text in (("_", "x"), ("_", ""), ("dzuuid", "0"), ("submit", ""), ("t", "1")):
        assert refusal(DetectParams, (name, text)).startswith(f"unknown parameter '{name}'. Known: confidence, ")
    assert "send it in the body" in refusal(DetectParams, ("image", "x"))


def test_ignored_names_are_told_once_in_ascii_and_short() -> None:
    fields = [("a\r\nb: c", ""), ("x" * 300, ""), ("图", ""), ("a,b", ""), ("图", "")]
    told = ignored_names(DetectParams.__struct_fields__, [], fields)
    assert told == f"a%0D%0Ab%3A%20c, {'x' * 40}, %E5%9B%BE, a%2Cb"
    assert ignored_names(DetectParams.__struct_fields__, [("confidence", "1")], []) == ""
