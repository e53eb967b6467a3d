"""What a picture child could say when a file has taken it over: a message within its ranges, or a ValueError."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from gateway.pictures.picture_messages import (
    CropShape,
    Failed,
    MaskDone,
    Opened,
    Ready,
    from_child,
    size_with,
)
from tests.fuzz.target import steps_within

_STEPS_FREE, _STEPS_PER_BYTE = 2000, 20


def check_child(data: bytes) -> None:
    """Sizes can be mapped and times shown."""
    try:
        with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * len(data)):
            message = from_child(data)
            size = size_with(message)
    except ValueError:
        return
    assert 0 <= size < 1 << 60
    if isinstance(message, Opened):
        assert all(min(crop.rows, crop.cols, crop.side) > 0 for crop in message.crops)
        assert all(math.isfinite(crop.scale) and crop.scale > 0 for crop in message.crops)
        _check_times(message.decode_ms, message.preprocess_ms)
    if isinstance(message, MaskDone):
        _check_times(message.mask_ms, message.encode_ms)
    assert from_child(msgspec.msgpack.encode(message)) == message


def _check_times(*times: float) -> None:
    assert all(math.isfinite(time) and time >= 0 for time in times)


def seeds() -> Iterator[bytes]:
    crops = (CropShape(2, 3, 32, 0.5),)
    for message in (
        Ready(), Opened(7, crops, 1.0, 2.0), Opened(7, (), 0.0, 0.0), Failed(7, "too_large", "words"),
        MaskDone(7, 100, weak=True, as_stored=False, mask_ms=1.0, encode_ms=2.0),
    ):  # fmt: skip
        yield msgspec.msgpack.encode(message)


WORDS = (
    b"\xa5Ready", b"\xa6Opened", b"\xa8MaskDone", b"\xa6Failed", b"\xa9bad_image",
    b"\xcb\x7f\xf8\0\0\0\0\0\0", b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", b"\xc0",
)  # fmt: skip
