"""What the two ends of the wire may hear from each other: messages within their ranges, or a WireError."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from shared.faces import Faces
from shared.messages import (
    PROTOCOL_VERSION,
    Canary,
    Cancel,
    CropHeader,
    CropMemoryAddress,
    Failure,
    Goodbye,
    Grant,
    Heartbeat,
    Hello,
    Message,
    ModelInfo,
    Offer,
    Recall,
    Release,
    Reply,
    Request,
    Started,
    ToGateway,
    ToWorker,
    Welcome,
)
from shared.wire import (
    CROPS_MAX,
    SIDE_MAX,
    Frame,
    WireError,
    decode_to_gateway,
    decode_to_worker,
    encode,
    encode_reply,
    encode_request,
)
from tests.fuzz.target import steps_within

_STEPS_FREE, _STEPS_PER_BYTE = 3000, 20
_TENSOR_BYTES_MAX = 1 << 20
_BUILT = 0xFFFF
#: A gateway's crops, for requests that come without their own.
_MEMORY = np.frombuffer(bytes(4096), np.uint8)
_VALUES: tuple[Any, ...] = (
    1, 0, 2, 15, -1, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63), 0.5, -0.0, -0.5, 1e300, 5e-324, math.nan,
    math.inf, -math.inf, "", "a.1", "\0\n", "x" * 1000, None, True, [], [[]], [1, 2, 32, 0.1], [[2, 3, 32, 0.1]],
    [[1.0] * 15, [1.0] * 5], {}, {"name": 1}, b"bytes",
)  # fmt: skip


def check_to_worker(data: bytes) -> None:
    """What a worker makes of it: crops of the announced shapes, and numbers it can count with."""
    frames = framed(data)
    try:
        with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * len(data)):
            message, crops = decode_to_worker(frames, _MEMORY)
    except WireError:
        return
    check_numbers(message)
    if isinstance(message, Request):
        assert 1 <= len(crops) == len(message.crops) <= CROPS_MAX
        for crop, header in zip(crops, message.crops, strict=True):
            assert crop.shape == (header.rows, header.cols, 3)
            assert max(crop.shape) <= header.side <= SIDE_MAX
            assert not crop.flags.writeable
        again: list[Frame] = [bytes(frame) for frame in encode_request(message, crops)]
    else:
        assert crops == []
        again = encode(message)
    assert decode_to_worker(again, _MEMORY)[0] == message


def check_to_gateway(data: bytes) -> None:
    """What a gateway makes of it: finite faces of the announced number, and numbers it can count with."""
    frames = framed(data)
    try:
        with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * len(data)):
            message, faces = decode_to_gateway(frames)
    except WireError:
        return
    check_numbers(message)
    if isinstance(message, Reply):
        assert faces is not None
        assert len(faces) == message.faces
        assert np.isfinite(faces.packed()).all()
        again = encode_reply(message, faces)
    else:
        assert faces is None
        again = encode(message)
    assert decode_to_gateway(again)[0] == message


def check_numbers(value: object, least: float = 0) -> None:
    """Every number of a message is finite, not negative, and no larger than what a machine counts in 64 bits."""
    if isinstance(value, Canary):
        check_numbers(value.faces, -math.inf)
    elif isinstance(value, msgspec.Struct):
        check_numbers(msgspec.structs.astuple(value), least)
    elif isinstance(value, list | tuple):
        for each in value:
            check_numbers(each, least)
    elif isinstance(value, int | float):
        assert math.isfinite(value), f"{value} in a message"
        assert least <= value < 1 << 63, f"{value} in a message"


def framed(data: bytes) -> list[bytes]:
    """Frames out of one input: the header's length in two bytes, the header, then tensors.

    A length of 65,535 stands for a message made of tempting values. Else the tensors are cut from the rest, repeated until every announced size is met, so that mutated headers get past
    the comparison of lengths; an odd length leaves the rest as one frame.
    """
    length = int.from_bytes(data[:2], "little")
    if length == _BUILT:
        return [_built(data[2:])]
    header, rest = data[2 : 2 + length], data[2 + length :]
    sizes = _announced(header)
    if not sizes or len(data) % 2:
        return [header, rest] if rest else [header]
    return [header, *(_filled(rest or b"\0", size) for size in sizes)]


def _built(choices: bytes) -> bytes:
    """The header of some message whose every field is one of `_VALUES`, each by one byte."""
    kinds = [*ToWorker.__args__, *ToGateway.__args__]
    kind, values = kinds[choices[0] % len(kinds)] if choices else Hello, list(choices[1:])
    return bytes([PROTOCOL_VERSION]) + msgspec.msgpack.encode(_chosen(kind, values))


def _chosen(kind: Any, values: list[int]) -> Any:
    """Structs field by field, as they travel; anything else by the next byte."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.name: _chosen(field.type, values) for field in msgspec.structs.fields(kind)}
        travels_as_list = kind.__struct_config__.array_like
        tag = [kind.__name__] if issubclass(kind, Message) else []
        return [*tag, *fields.values()] if travels_as_list else fields
    return _VALUES[(values.pop(0) if values else 0) % len(_VALUES)]


def _filled(pattern: bytes, size: int) -> bytes:
    return (pattern * (size // len(pattern) + 1))[:size]


def _announced(header: bytes) -> list[int]:
    """The bytes of every tensor that a header announces, where it can be read so far."""
    try:
        kind, *fields = msgspec.msgpack.decode(header[1:])
        if kind == "Request" and len(fields) > 12 and fields[12]:
            return []
        if kind == "Request":
            sizes = [(rows, cols, 3) for rows, cols, *_ in fields[7]]
        elif kind == "Reply":
            sizes = [(fields[2], fields[3], 4)]
        else:
            return []
    except (msgspec.MsgspecError, TypeError, ValueError, IndexError, UnicodeDecodeError):
        return []
    if not all(isinstance(side, int) and 0 <= side <= _TENSOR_BYTES_MAX for size in sizes for side in size):
        return []
    return [math.prod(size) for size in sizes if math.prod(size) <= _TENSOR_BYTES_MAX]


_INFO = ModelInfo("stub", "fp32", "CPUExecutionProvider", 640, True, 8, True, "MIT", "0" * 64)
_TO_WORKER: tuple[Message, ...] = (
    Hello("g"),
    Hello("g", CropMemoryAddress(7, 3, 4096, b"m" * 16)),
    Cancel(1),
    Offer(2),
    Release(1),
    Heartbeat(3),
    Goodbye(again=True),
)
_TO_GATEWAY: tuple[Message, ...] = (
    Welcome("a.1", 0, 7, 16, 8, _INFO, Canary(0.5, 0.4, [[1.0] * 15], 1.0, 0.1)),
    Started(1, "a.1"), Failure(1, "a.1", "failed", "words", 1), Grant(3), Recall(2), Heartbeat(3, 0.01), Goodbye(),
)  # fmt: skip


def _input(frames: list[bytes]) -> bytes:
    header, rest = frames[0], b"".join(frames[1:])
    data = len(header).to_bytes(2, "little") + header + rest
    return data if len(data) % 2 == 0 or not rest else data + b"\0"


def to_worker_seeds() -> Iterator[bytes]:
    crop = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    for count in (1, 2, 5):
        request = Request(7, 1500, 0.5, 0.4, 0, 30, 20, (CropHeader(2, 3, 32, 0.1),) * count, waiting=2, suspected=True)
        yield _input([bytes(frame) for frame in encode_request(request, [crop] * count)])
    for offset in (0, 4096 - 18, 4096 - 17):
        header = (CropHeader(2, 3, 32, 0.1),)
        yield _input([bytes(encode(Request(7, 1500, 0.5, 0.4, 0, 30, 20, header, offsets=(offset,)))[0])])
    for message in (*_TO_WORKER, *_TO_GATEWAY):
        yield _input([bytes(encode(message)[0])])
    yield _input([bytes([PROTOCOL_VERSION + 1]) + b"\x92\xa5Hello\xa1g"])
    yield from _built_seeds()


def to_gateway_seeds() -> Iterator[bytes]:
    for columns in (5, 15):
        faces = Faces.unpacked(np.arange(2 * columns, dtype=np.float32).reshape(2, columns))
        yield _input([bytes(frame) for frame in encode_reply(_reply(columns), faces)])
    for message in (*_TO_GATEWAY, *_TO_WORKER):
        yield _input([bytes(encode(message)[0])])
    yield from _built_seeds()


def _built_seeds() -> Iterator[bytes]:
    """Every kind of message with every tempting value in every field."""
    yield b""
    for kind in range(16):
        for value in range(len(_VALUES)):
            yield b"\xff\xff" + bytes([kind]) + bytes([value] * 24)


def _reply(columns: int) -> Reply:
    return Reply(7, "a.1", 2, columns, 1.0, 2.0, 3.0, 4, "full", grant=1)


WORDS = (
    b"\xa7Request", b"\xa5Reply", b"\xa5Hello", b"\xa5Grant", b"\xa9Heartbeat", b"\xa7Welcome", b"\xa7Failure",
    b"\xcb\x7f\xf8\0\0\0\0\0\0", b"\xcb\x7f\xf0\0\0\0\0\0\0", b"\xff", b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", b"\xc0", b"\xdd\xff\xff\xff\xff",
)  # fmt: skip
