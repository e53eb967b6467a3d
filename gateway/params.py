"""The parameters of detect and mask: names, types, ranges, defaults, and how wrong ones are told.

One type drives parsing, the documentation pages and the words of a 422.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from shared.errors import BadParameter

#: The multipart field that holds the file; never a parameter.
IMAGE_FIELD = "image"

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
    """Parameters from the query string and the form fields together.

    Raises BadParameter naming the parameter, its range and the nearest known name; given twice with the
    same text is fine, with different texts is not.
    """
    given: dict[str, str] = {}
    for name, text in [*query, *form]:
        if name not in kind.__struct_fields__:
            raise BadParameter(_unknown(name, kind.__struct_fields__))
        if given.setdefault(name, text) != text:
            raise BadParameter(f"{name} is given twice and differs: {_shown(given[name])} and {_shown(text)}; send one")
    values = {name: _value(kind, name, text) for name, text in given.items()}
    return kind(**values)


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
    try:
        value = msgspec.convert(text, _annotations(kind)[name], strict=False)
    except msgspec.ValidationError:
        raise BadParameter(f"{name}={_shown(text)} is not allowed; {name} is {range_words(kind, name)}") from None
    if (value != value) or (name == "second_side" and value not in SECOND_SIDES):  # noqa: PLR0124 — NaN differs from itself
        raise BadParameter(f"{name}={_shown(text)} is not allowed; {name} is {range_words(kind, name)}")
    return value


def _annotations(kind: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, [*known, IMAGE_FIELD], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown parameter {_shown(name)}{hint} Known: {', '.join(known)}"


def _shown(text: str) -> str:
    """A caller's text, short and on one line."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
