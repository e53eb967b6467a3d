"""The only place that knows the order and bytes of the frames. Nothing on this wire is ever unpickled.

    frame 0   one byte PROTOCOL_VERSION, then the message as a msgpack array
    frame 1…  Request: one raw uint8 frame per crop, none where they lie in the gateway's crop memory;
              Reply: one float32 little-endian frame of packed rows

Whatever arrives is checked (version, message, ranges of numbers, count, lengths) before anything is trusted;
what fails raises WireError, and the receiver drops and counts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.faces import PACKED_COLUMNS, PACKED_COLUMNS_WITHOUT_LANDMARKS, Faces
from shared.messages import (
    PROTOCOL_VERSION,
    Canary,
    CropHeader,
    Message,
    Reply,
    Request,
    ToGateway,
    ToPool,
    ToWorker,
    Welcome,
)

Frame = bytes | bytearray | memoryview
CropArray = NDArray[np.uint8]

#: No header of ours comes near it; a longer one is not ours.
HEADER_BYTES_MAX = 64 * 1024
#: A request may carry this many crops, and be looked at so often in all.
CROPS_MAX = 4
LOOKS_MAX = 16
#: Largest side of an input; bounds what one request can make a worker allocate.
SIDE_MAX = 4096

_COLUMNS = (PACKED_COLUMNS, PACKED_COLUMNS_WITHOUT_LANDMARKS)
_VERSION = bytes([PROTOCOL_VERSION])
_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(ToWorker)
_to_pool = msgspec.msgpack.Decoder(ToPool)
_to_gateway = msgspec.msgpack.Decoder(ToGateway)


class WireError(Exception):
    """Frames that are not a message of this protocol version."""


class OtherVersion(WireError):
    """Frames of a release that speaks otherwise."""


def encode(message: Message) -> list[Frame]:
    """A message without tensors, as frames."""
    return [_VERSION + _encoder.encode(message)]


def encode_request(message: Request, crops: Sequence[CropArray]) -> list[Any]:
    """A request and its crops, (rows, cols, 3) uint8 C-contiguous each, as frames; the crops are not copied.

    Those that lie where its offsets say are no frames.
    """
    assert len(crops) == len(message.crops)
    for header, crop in zip(message.crops, crops, strict=True):
        assert crop.shape == (header.rows, header.cols, 3), (crop.shape, header)
        assert crop.dtype == np.uint8
        assert crop.flags.c_contiguous
    frame = _VERSION + _encoder.encode(message)
    return [frame] if message.offsets else [frame, *crops]


def encode_reply(message: Reply, faces: Faces) -> list[Any]:
    """A reply and its faces as frames."""
    rows = faces.packed()
    assert rows.shape == (message.faces, message.columns)
    return [_VERSION + _encoder.encode(message), rows.astype("<f4", copy=False).tobytes()]


def looks_of(crops: Sequence[CropHeader]) -> int:
    """How many runs of the network these crops ask for."""
    return sum([len(header.turns) for header in crops])


def decode_to_worker(
    frames: Sequence[Frame], memory: NDArray[np.uint8] | None = None
) -> tuple[ToWorker, list[CropArray]]:
    """What a worker received: the message and, for a Request, read-only views of its crops.

    memory: the sender's crop memory, where this side has it.
    """
    message = _decode_header(frames, _to_worker)
    if isinstance(message, Request):
        return message, _request_crops(message, frames[1:], memory)
    _expect_tensors(frames, 0)
    return message, []


def decode_to_pool(frames: Sequence[Frame]) -> ToPool:
    """What a pool received."""
    message: ToPool = _decode_header(frames, _to_pool)
    _expect_tensors(frames, 0)
    return message


def decode_to_gateway(frames: Sequence[Frame]) -> tuple[ToGateway, Faces | None]:
    """What a gateway received: the message and, for a Reply, its faces."""
    message = _decode_header(frames, _to_gateway)
    if isinstance(message, Reply):
        _expect_tensors(frames, 1)
        return message, _reply_faces(message, frames[1])
    _expect_tensors(frames, 0)
    if isinstance(message, Welcome):
        _expect_rows(message.canary)
    return message, None


def _decode_header(frames: Sequence[Frame], decoder: msgspec.msgpack.Decoder[Any]) -> Any:
    if not frames or not 1 < len(frames[0]) <= HEADER_BYTES_MAX:
        raise WireError("no header of a possible length")
    header = memoryview(frames[0])
    if header[0] != PROTOCOL_VERSION:
        raise OtherVersion(f"it speaks protocol {header[0]}, this side {PROTOCOL_VERSION}: run one release on both")
    try:
        return decoder.decode(header[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WireError(f"not a message: {error}") from None


def _expect_tensors(frames: Sequence[Frame], count: int) -> None:
    if len(frames) != 1 + count:
        raise WireError(f"{len(frames) - 1} tensor frames where {count} belong")


def _expect_rows(canary: Canary) -> None:
    """All of one length: they become one array."""
    if {len(row) for row in canary.faces} not in (set(), *({columns} for columns in _COLUMNS)):
        raise WireError("a canary whose faces are no packed rows")


def _request_crops(message: Request, frames: Sequence[Frame], memory: NDArray[np.uint8] | None) -> list[CropArray]:
    if message.offsets:
        frames = _in_memory(message, frames, memory)
    if not 1 <= len(message.crops) <= CROPS_MAX or len(frames) != len(message.crops):
        raise WireError(f"{len(frames)} crops, header announces {len(message.crops)}")
    if not all(header.turns for header in message.crops) or looks_of(message.crops) > LOOKS_MAX:
        raise WireError("a crop that nobody looks at, or too many looks")
    if not (0 < message.confidence <= 1 and 0 < message.nms_threshold <= 1):
        raise WireError("thresholds outside 0..1")
    return [_crop(header, frame) for header, frame in zip(message.crops, frames, strict=True)]


def _in_memory(message: Request, frames: Sequence[Frame], memory: NDArray[np.uint8] | None) -> list[memoryview]:
    """The bytes of crops that lie in the sender's crop memory."""
    if memory is None or frames or len(message.offsets) != len(message.crops):
        raise WireError("crops in a memory that this side has not, or not all of them")
    sizes = [header.rows * header.cols * 3 for header in message.crops]
    # A slice may be shorter than was asked for, which is noticed as a frame's wrong length is.
    return [memory[start : start + size].data for start, size in zip(message.offsets, sizes, strict=True)]


def _crop(header: CropHeader, frame: Frame) -> CropArray:
    if not max(header.rows, header.cols) <= header.side <= SIDE_MAX:
        raise WireError(f"crop of {header.rows}×{header.cols} for an input of {header.side}")
    if not header.scale:
        raise WireError("a crop without scale")
    pixels = np.frombuffer(frame, dtype=np.uint8)
    if pixels.size != header.rows * header.cols * 3:
        raise WireError(f"{pixels.size} bytes for a crop of {header.rows}×{header.cols}×3")
    return pixels.reshape(header.rows, header.cols, 3)


def _reply_faces(message: Reply, frame: Frame) -> Faces:
    if message.columns not in _COLUMNS:
        raise WireError(f"{message.faces} faces of {message.columns} columns")
    if len(memoryview(frame)) != message.faces * message.columns * 4:
        raise WireError(f"{len(memoryview(frame))} bytes for {message.faces} faces of {message.columns} columns")
    rows = np.frombuffer(frame, dtype="<f4").reshape(message.faces, message.columns)
    if not np.isfinite(rows).all():
        raise WireError("faces with numbers that are not finite")
    return Faces.unpacked(rows)
