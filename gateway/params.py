"""The parameters of detect and mask: names, types, ranges, defaults, and how wrong ones are told.

One type drives parsing, the documentation pages and the words of a 422. `shared/numerals.py` knows how numbers are
written, `gateway/unknown_names.py` what becomes of other names.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from gateway.unknown_names import refuse_unknown, shown
from shared import numerals
from shared.errors import BadParameter

Confidence = Annotated[float, Meta(ge=0.01, le=1.0, description="Minimum confidence threshold")]
NmsThreshold = Annotated[float, Meta(ge=0.01, le=1.0, description="NMS IoU threshold")]
MaxFaces = Annotated[int, Meta(ge=0, le=2**31 - 1, description="Max faces to return (0 = all)")]
SecondSide = Annotated[
    int | None,
    Meta(description="Input side of a second look at a smaller copy, for faces that fill the picture (0 = off)"),
]
Method = Literal["gaussian", "pixelate", "solid", "elliptical", "erase"]
OutputFormat = Literal["jpeg", "png", "webp"]

#: Sides a second look may have; bounded so that a caller cannot make workers allocate at will.
SECOND_SIDES = (0, 128, 160, 192, 256, 320)


class DetectParams(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of POST /api/v1/detect. `second_side` None takes the server's setting."""

    confidence: Confidence = 0.5
    nms_threshold: NmsThreshold = 0.4
    max_faces: MaxFaces = 0
    second_side: SecondSide = None


class MaskParams(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of POST /api/v1/mask."""

    confidence: Confidence = 0.5
    nms_threshold: NmsThreshold = 0.4
    max_faces: MaxFaces = 0
    method: Annotated[Method, Meta(description="Masking method")] = "gaussian"
    strength: Annotated[int, Meta(ge=1, le=999, description="Blur kernel / block size")] = 199
    padding: Annotated[float, Meta(ge=0.0, le=2.0, description="Expand bbox before masking")] = 0.15
    format: Annotated[OutputFormat, Meta(description="Output format")] = "jpeg"
    quality: Annotated[int, Meta(ge=1, le=100, description="Compression quality")] = 95
    color: Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$", description="Colour of method=solid, #rrggbb")] = "#000000"
    second_side: SecondSide = None


Params = TypeVar("Params", DetectParams, MaskParams)


def parse_params(kind: type[Params], query: Sequence[tuple[str, str]], form: Sequence[tuple[str, str]]) -> Params:
    """Parameters from the query string and the form fields together; names without meaning are unknown_names.py's.

    An empty value is a missing one. Given twice with the same value is fine, however it is written; with different
    ones it is not. Raises BadParameter naming the parameter, its range and the nearest known name.
    """
    known = kind.__struct_fields__
    refuse_unknown(known, query, form)
    given: dict[str, tuple[str, Any]] = {}
    for name, sent in [*query, *form]:
        text = numerals.stripped(sent)
        if not text or name not in known:
            continue
        first, value = given.setdefault(name, (text, _value(kind, name, text)))
        if text != first and _value(kind, name, text) != value:
            raise BadParameter(f"{name} is given twice and differs: {shown(first)} and {shown(text)}; send one")
    return kind(**{name: value for name, (_, value) in given.items()})


def second_side(asked: int | None, setting: int) -> int:
    """The input side of the second look, 0 for none: the caller's wish, else the server's setting."""
    return setting if asked is None else asked


def range_words(kind: type[msgspec.Struct], name: str) -> str:
    """The range of one parameter in words, for messages and documents."""
    if name == "second_side":
        return " | ".join(map(str, SECOND_SIDES))
    annotation = _annotations(kind)[name]
    meta, base = annotation.__metadata__[0], annotation.__origin__
    if meta.pattern is not None:
        return "#rrggbb"
    if get_args(base):
        return " | ".join(map(str, get_args(base)))
    return f"{meta.ge} to {meta.le}" if name != "max_faces" else "0 or more"


def _value(kind: type[Params], name: str, text: str) -> Any:
    annotation = _annotations(kind)[name]
    value, words = numerals.read(annotation.__origin__, text)
    if value is not None:
        words = "is not allowed"
        with contextlib.suppress(msgspec.ValidationError):
            value = msgspec.convert(value, annotation)
            if name != "second_side" or value in SECOND_SIDES:
                return value
    raise BadParameter(f"{name}={shown(text)} {words}; {name} is {range_words(kind, name)}")


@functools.cache
def _annotations(kind: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}
