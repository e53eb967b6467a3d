"""The parameters of detect and mask: names, types, ranges, defaults, and how wrong ones are told.

One type drives parsing, the documentation pages and the words of a 422. `shared/numerals.py` knows how numbers are
written, `gateway/unknown_names.py` what becomes of other names.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from gateway import boxes
from gateway.boxes import Boxes, Picks
from gateway.pictures.exif_tags import Metadata
from gateway.pictures.masking import (
    Annotate,
    HexColor,
    MaskOptions,
    Method,
    OutputFormat,
    Overlay,
    Padding,
    Quality,
    Strength,
)
from gateway.unknown_names import refuse_unknown, shown
from shared import numerals, settings
from shared.errors import BadParameter

#: A caller cannot make the workers look more often.
TILES_MAX = 32

Confidence = Annotated[float, Meta(ge=0.01, le=1.0, description="Minimum confidence threshold")]
NmsThreshold = Annotated[float, Meta(ge=0.01, le=1.0, description="NMS IoU threshold")]
MaxFaces = Annotated[int, Meta(ge=0, le=2**31 - 1, description="Max faces to return (0 = all)")]
#: Which faces come first, and stay where max_faces cuts.
Order = Literal["central", "score", "size"]
FaceOrder = Annotated[
    Order,
    Meta(
        description="Which faces come first, and stay where max_faces cuts: central as the reference has it (best "
        "confidence first, but where max_faces cuts the large and central ones), score, or size"
    ),
]
MinSize = Annotated[
    int,
    Meta(ge=0, le=boxes.COORDINATE_MAX, description="Faces whose longer side has fewer pixels are left out (0 = none)"),
]
Ignore = Annotated[Boxes, Meta(description="Boxes in which faces are left out: those that lie in one wholly")]
Keep = Annotated[Picks, Meta(description="Faces that stay visible, by detect's index or by their box")]
Only = Annotated[
    Picks,
    Meta(
        description="Mask these faces alone, by detect's index or by their box; a box without a face is masked too",
    ),
]
Regions = Annotated[Boxes, Meta(description="Boxes that are masked whatever is in them, without padding")]
Detect = Annotated[bool, Meta(description="Whether faces are looked for; false masks your regions alone")]
KeptMetadata = Annotated[
    Metadata,
    Meta(
        description="What of the file's EXIF the answer carries: none, date (when it was taken), gps (where), or all "
        "that is understood (these, camera, exposure, description, artist, copyright); never thumbnails or maker notes"
    ),
]
SecondSide = Annotated[
    int | None,
    Meta(description="Input side of a second look at a smaller copy, for faces that fill the picture (0 = off)"),
]
AskedTurns = Annotated[
    settings.Turns | None,
    Meta(
        description="Whether the picture is looked at turned by 90°, 180° and 270° as well: never, where the upright "
        "look is unsure, or always"
    ),
]
Tiles = Annotated[
    int | None,
    Meta(description="Most tiles a large picture is looked at in, beside the whole (0 = none)"),
]
Closer = Annotated[
    bool | Literal["tell"] | None,
    Meta(
        description="Whether what the first look is not sure of is looked at again, closer: true finds more faces and "
        "takes none away, as mask does; tell also denies what the closer look denies, as detect does where the model "
        "has a closer network, and mask where faces are named by index"
    ),
]
Stored = Annotated[bool, Meta(description="Whether a job and its picture may be kept, where the service keeps any")]
Thorough = Annotated[
    bool | None,
    Meta(description="Whether everything is done to find faces: turns=always, closer, tiles and a second look; slower"),
]

#: How masks are made where nothing is said.
_MASK = MaskOptions()
#: How languages and forms write it.
TRUTHS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
#: Sides a second look may have; bounded so that a caller cannot make workers allocate at will.
SECOND_SIDES = (0, 128, 160, 192, 256, 320)
#: What the whole numbers may be that can also be left out.
_WHOLE: dict[str, Sequence[int]] = {"second_side": SECOND_SIDES, "tiles": range(TILES_MAX + 1)}


class DetectParams(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of POST /api/v1/detect. None takes the server's setting (`gateway/looking.py`)."""

    confidence: Confidence = 0.5
    nms_threshold: NmsThreshold = 0.4
    max_faces: MaxFaces = 0
    second_side: SecondSide = None
    turns: AskedTurns = None
    closer: Closer = None
    tiles: Tiles = None
    thorough: Thorough = None
    order: FaceOrder = "central"
    min_size: MinSize = 0
    ignore: Ignore = ()
    store: Stored = True
    #: No picture comes back that could carry any.
    metadata: ClassVar[Metadata] = "none"


class MaskParams(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of POST /api/v1/mask; those of `MaskOptions` among them."""

    confidence: Confidence = 0.5
    nms_threshold: NmsThreshold = 0.4
    max_faces: MaxFaces = 0
    method: Method = _MASK.method
    strength: Strength = _MASK.strength
    padding: Padding = _MASK.padding
    format: OutputFormat = _MASK.format
    quality: Quality = _MASK.quality
    color: HexColor = _MASK.color
    second_side: SecondSide = None
    turns: AskedTurns = None
    closer: Closer = None
    tiles: Tiles = None
    thorough: Thorough = None
    order: FaceOrder = "central"
    min_size: MinSize = 0
    ignore: Ignore = ()
    keep: Keep = ()
    only: Only = ()
    regions: Regions = ()
    detect: Detect = True
    metadata: KeptMetadata = "none"
    overlay: Overlay = _MASK.overlay
    annotate: Annotate = _MASK.annotate
    store: Stored = True

    @property
    def options(self) -> MaskOptions:
        """How to mask and how to encode. Fails where a part of it is no parameter."""
        return MaskOptions(**{name: getattr(self, name) for name in MaskOptions.__struct_fields__})

    @property
    def by_index(self) -> list[str]:
        """Which parameters name faces by detect's order."""
        return [name for name in ("keep", "only") if boxes.indices_of(getattr(self, name))]


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


def range_words(kind: type[msgspec.Struct], name: str) -> str:
    """The range of one parameter in words, for messages and documents."""
    if name == "second_side":
        return " | ".join(map(str, SECOND_SIDES))
    if name == "tiles":
        return f"0 to {TILES_MAX}"
    annotation = _annotations(kind)[name]
    meta, base = annotation.__metadata__[0], annotation.__origin__
    if base in boxes.WORDS:
        return boxes.WORDS[base]
    if meta.pattern is not None:
        return "#rrggbb"
    number, choices = _number(base), _choices(base)
    if number is not None:
        meta = number.__metadata__[0]
    elif choices:
        return " | ".join(choices)
    return " or ".join((f"{meta.ge} to {meta.le}" if name != "max_faces" else "0 or more", *choices))


def _choices(base: Any) -> tuple[str, ...]:
    """The words a parameter may be; none for a number."""
    literal = next((one for one in (base, *get_args(base)) if get_origin(one) is Literal), None)
    return (*(("true", "false") if _is_bool(base) else ()), *get_args(literal))


def _is_bool(base: Any) -> bool:
    """Whether it may be true or false, among other words or not."""
    return bool in (base, *get_args(base))


def _number(base: Any) -> Any:
    """The annotated number that stands beside words; None where none does."""
    return next((one for one in get_args(base) if get_origin(one) is Annotated), None)


def _value(kind: type[Params], name: str, text: str) -> Any:
    annotation = _annotations(kind)[name]
    value, words = _read(annotation.__origin__, text)
    if name == "only" and value == ():  # would show everybody
        value, words = None, "names nobody, so leave it out to mask all, or send regions with detect=false"
    if value is not None:
        words = "is not allowed"
        with contextlib.suppress(msgspec.ValidationError):
            value = msgspec.convert(value, annotation)
            if value in _WHOLE.get(name, [value]):
                return value
    raise BadParameter(f"{name}={shown(text)} {words}; {name} is {range_words(kind, name)}")


def _read(base: Any, text: str) -> tuple[Any, str]:
    """The text as a value of the type, or None and what it is not."""
    if _is_bool(base):
        words = _choices(base)[2:]
        if text in words:
            return text, ""
        return TRUTHS.get(text.lower()), f"is {' nor '.join(('neither true', 'false', *words))}"
    if base in boxes.WORDS:
        return boxes.read(text, indices=base == Picks)
    if (number := _number(base)) is not None:
        return (text, "") if text in _choices(base) else numerals.read(number.__origin__, text)
    return numerals.read(base, text)


@functools.cache
def _annotations(kind: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}
