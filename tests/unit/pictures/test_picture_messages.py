"""What a picture child may say: nothing that its gateway could not count with, write into a header, or did not ask."""

from __future__ import annotations

import msgspec
import pytest

from gateway.pictures.headers.facts import Header
from gateway.pictures.picture_messages import (
    ChildMessage,
    CropShape,
    Failed,
    MaskDone,
    Open,
    Opened,
    Ready,
    answers,
    from_child,
    size_with,
)

OPENED = Opened(7, (CropShape(2, 3, 32, 0.5), CropShape(1, 1, 32, 0.5)), 1.0, 2.0)
DONE = MaskDone(7, 100, weak=False, as_stored=False, mask_ms=1.0, encode_ms=2.0)
FAILED = Failed(7, "bad_image", "words")


def sent(message: ChildMessage) -> bytes:
    return msgspec.msgpack.encode(message)


@pytest.mark.parametrize(("message", "size"), [(Ready(), 0), (OPENED, 21), (DONE, 100), (FAILED, 0)])
def test_what_a_child_says_arrives_with_the_size_of_what_comes_with_it(message: ChildMessage, size: int) -> None:
    arrived = from_child(sent(message))
    assert arrived == message
    assert size_with(arrived) == size


@pytest.mark.parametrize(
    "message",
    [
        msgspec.structs.replace(OPENED, crops=(CropShape(-1, -1, 32, 0.5),)),
        msgspec.structs.replace(OPENED, crops=(CropShape(1 << 40, 1 << 40, 32, 0.5),)),
        msgspec.structs.replace(OPENED, crops=(CropShape(1, 1, 32, float("nan")),)),
        msgspec.structs.replace(OPENED, decode_ms=float("nan")),
        msgspec.structs.replace(DONE, size=-1),
        msgspec.structs.replace(DONE, size=1 << 62),
        msgspec.structs.replace(DONE, mask_ms=float("inf")),
        msgspec.structs.replace(FAILED, kind="anything"),
        msgspec.structs.replace(FAILED, words="w" * 10_000),
        Open(7, Header("png", 1, 1), 1, (32,), to_mask=False),
    ],
)
def test_what_no_child_of_ours_says_is_refused(message: ChildMessage) -> None:
    with pytest.raises(ValueError, match="not a message"):
        from_child(sent(message))


@pytest.mark.parametrize(
    "packet", [b"\x93\xa6Failed\x07\xa9bad_image", b"\x91\xa2\xff\xfe", b"\xc1", b"\xdd\xff\xff\xff\xff"]
)
def test_what_is_no_message_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match="not a message"):
        from_child(packet)


def test_only_the_answer_to_what_was_asked_is_one() -> None:
    asked = Open(7, Header("png", 1, 1), 1, (32,), to_mask=False)
    assert answers(OPENED, asked)
    assert answers(FAILED, asked)
    assert not answers(DONE, asked)
    assert not answers(msgspec.structs.replace(OPENED, id=8), asked)
