"""The bytes between gateway and worker: pinned, checked on arrival, never trusted."""

from __future__ import annotations

import pickle

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.faces import Faces
from shared.messages import (
    PROTOCOL_VERSION,
    Canary,
    CropHeader,
    CropMemoryAddress,
    Failure,
    Grant,
    Heartbeat,
    Hello,
    Listed,
    ModelInfo,
    Reply,
    Request,
    Roll,
    RollCall,
    ToGateway,
    Welcome,
)
from shared.wire import (
    HEADER_BYTES_MAX,
    WireError,
    decode_to_gateway,
    decode_to_pool,
    decode_to_worker,
    encode,
    encode_reply,
    encode_request,
)

CROP = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
REQUEST = Request(7, 1500, 0.5, 0.4, 0, 30, 20, (CropHeader(2, 3, 32, 0.1),), waiting=2)
FACES = Faces.unpacked(np.arange(30, dtype=np.float32).reshape(2, 15))
INFO = ModelInfo("stub", "fp32", "CPUExecutionProvider", 640, True, 8, True, "MIT", "0" * 64)
WELCOME = Welcome("a.1", 0, 7, 16, 8, INFO, Canary(0.5, 0.4, [[1.0] * 15], 1.0, 0.1))
REPLY = Reply(7, "a.1", 2, 15, 1.0, 2.0, 3.0, 4, "full", grant=1)


def as_received(frames: list) -> list[bytes]:
    return [frame.tobytes() if isinstance(frame, np.ndarray) else bytes(frame) for frame in frames]


def test_a_request_arrives_as_it_was_sent() -> None:
    sheet = CropHeader(2, 3, 32, 0.1, 1.0, 2.0, (0, 1), sheet=True)
    for sent in (REQUEST, msgspec.structs.replace(REQUEST, crops=(sheet,))):
        message, crops = decode_to_worker(as_received(encode_request(sent, [CROP])))
        assert message == sent
        np.testing.assert_array_equal(crops[0], CROP)


def test_crops_that_lie_in_the_sender_s_memory_are_seen_there() -> None:
    memory = np.frombuffer(bytes(range(100)), np.uint8)
    sent = msgspec.structs.replace(REQUEST, crops=(CropHeader(2, 3, 32, 0.1),) * 2, offsets=(7, 82))
    frames = encode_request(sent, [CROP, CROP])
    assert len(frames) == 1
    message, crops = decode_to_worker(as_received(frames), memory)
    assert message == sent
    assert [crop.flatten().tolist() for crop in crops] == [list(range(7, 25)), list(range(82, 100))]
    assert all(np.shares_memory(crop, memory) for crop in crops)


@pytest.mark.parametrize("offsets", [(83,), (100,), (1 << 62,), (1, 2)])
def test_crops_outside_the_sender_s_memory_are_refused(offsets: tuple[int, ...]) -> None:
    header = encode(msgspec.structs.replace(REQUEST, offsets=offsets))[0]
    with pytest.raises(WireError):
        decode_to_worker([header], np.zeros(100, np.uint8))


def test_offsets_are_refused_without_a_memory_and_beside_frames() -> None:
    header = encode(msgspec.structs.replace(REQUEST, offsets=(0,)))[0]
    for frames, memory in (([header], None), ([header, CROP.tobytes()], np.zeros(100, np.uint8))):
        with pytest.raises(WireError, match="a memory that this side has not"):
            decode_to_worker(frames, memory)


def test_a_reply_arrives_as_it_was_sent() -> None:
    message, faces = decode_to_gateway(as_received(encode_reply(REPLY, FACES)))
    assert message == REPLY
    assert faces is not None
    np.testing.assert_array_equal(faces.packed(), FACES.packed())


def test_faces_without_landmarks_and_no_faces_travel_too() -> None:
    for faces in (Faces(FACES.boxes, FACES.scores, None), Faces.none(), Faces.none(landmarks=False)):
        reply = msgspec.structs.replace(REPLY, faces=len(faces), columns=faces.packed().shape[1])
        _, arrived = decode_to_gateway(as_received(encode_reply(reply, faces)))
        assert arrived is not None
        np.testing.assert_array_equal(arrived.packed(), faces.packed())
        assert (arrived.landmarks is None) == (faces.landmarks is None)


def test_what_pools_and_gateways_say_of_who_works_on_a_host_travels_and_nothing_else_reaches_a_pool() -> None:
    roll = Roll((Listed(0, "a.1", 7),), ("a.0",))
    assert decode_to_gateway(as_received(encode(roll))) == (roll, None)
    assert decode_to_pool(as_received(encode(RollCall("g")))) == RollCall("g")
    for frames in ([*encode(RollCall("g")), b"more"], encode(Hello("g")), encode(roll), [b""], []):
        with pytest.raises(WireError):
            decode_to_pool(as_received(frames))


def test_the_bytes_of_this_protocol_version_are_pinned() -> None:
    # A change here is a change of the protocol: raise PROTOCOL_VERSION with it.
    assert PROTOCOL_VERSION == 9
    assert Welcome.__struct_fields__ == (
        "generation",
        "slot",
        "pid",
        "capacity",
        "busy_with",
        "model",
        "canary",
        "reads_crops",
    )
    assert encode(Grant(3)) == [b"\x09\x92\xa5Grant\x03"]
    assert encode(Hello("g")) == [b"\x09\x93\xa5Hello\xa1g\xc0"]
    at = CropMemoryAddress(7, 3, 4096, b"m" * 16)
    assert encode(Hello("g", at)) == [b"\x09\x93\xa5Hello\xa1g\x94\x07\x03\xcd\x10\x00\xc4\x10" + b"m" * 16]
    header = encode_request(REQUEST, [CROP])[0].hex()
    assert header == (
        "099ea75265717565737407cd05dccb3fe0000000000000cb3fd999999999999a001e149198020320cb3fb999999999999acb0000000000000000"
        "cb00000000000000009100c202c2a0c290"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"crops": ()},
        {"crops": (CropHeader(2, 3, 32, 0.1),) * 2},
        {"crops": (CropHeader(2, 2, 32, 0.1),)},
        {"crops": (CropHeader(33, 3, 32, 0.1),)},
        {"crops": (CropHeader(0, 3, 32, 0.1),)},
        {"crops": (CropHeader(2, 3, 1 << 20, 0.1),)},
        {"crops": (CropHeader(2, 3, 32, 0.0),)},
        {"crops": (CropHeader(2, 3, 32, float("nan")),)},
        {"crops": (CropHeader(2, 3, 32, float("inf")),)},
        {"crops": (CropHeader(2, 3, 32, 0.1, turns=()),)},
        {"crops": (CropHeader(2, 3, 32, 0.1, turns=(0,) * 17),)},
        {"crops": (CropHeader(2, 3, 32, 0.1, x=-1.0),)},
        {"confidence": 0.0},
        {"confidence": float("nan")},
        {"nms_threshold": 1.5},
        {"id": -1},
        {"left_ms": -1},
        {"max_faces": -1},
        {"width": 0},
        {"trace": "0" * 65},
    ],
)
def test_a_request_that_cannot_be_is_refused(change: dict) -> None:
    header = encode(msgspec.structs.replace(REQUEST, **change))[0]
    with pytest.raises(WireError):
        decode_to_worker([header, CROP.tobytes()])


@pytest.mark.parametrize(
    "message",
    [
        Grant(-1),
        Heartbeat(1, float("nan")),
        Heartbeat(1, float("inf")),
        Heartbeat(-1),
        msgspec.structs.replace(WELCOME, capacity=0),
        msgspec.structs.replace(WELCOME, busy_with=-1),
        msgspec.structs.replace(WELCOME, canary=Canary(0.5, 0.4, [[1.0] * 15, [1.0] * 5], 1.0, 0.1)),
        msgspec.structs.replace(WELCOME, canary=Canary(0.5, 0.4, [[float("nan")] * 15], 1.0, 0.1)),
    ],
)
def test_a_number_that_nobody_can_count_with_is_refused(message: ToGateway) -> None:
    with pytest.raises(WireError):
        decode_to_gateway(encode(message))


@pytest.mark.parametrize(
    "change", [{"faces": 3}, {"faces": -1}, {"wait_ms": float("nan")}, {"columns": 4}, {"columns": 5}]
)
def test_a_reply_that_cannot_be_is_refused(change: dict) -> None:
    frames = as_received(encode_reply(REPLY, FACES))
    frames[0] = bytes(encode(msgspec.structs.replace(REPLY, **change))[0])
    with pytest.raises(WireError):
        decode_to_gateway(frames)


def test_numbers_that_are_not_finite_are_refused() -> None:
    rows = FACES.packed().copy()
    rows[1, 2] = np.nan
    with pytest.raises(WireError, match="not finite"):
        decode_to_gateway([bytes(encode(REPLY)[0]), rows.tobytes()])


def test_another_version_is_named() -> None:
    with pytest.raises(WireError, match="protocol 10"):
        decode_to_worker([b"\x0a" + bytes(encode(Heartbeat(1))[0])[1:]])


def test_a_message_for_the_other_side_is_refused() -> None:
    with pytest.raises(WireError):
        decode_to_worker(encode(Failure(1, "a.1", "failed", "words")))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_tensor_frames_is_refused(count: int) -> None:
    frames = [bytes(encode(REQUEST)[0]), *[CROP.tobytes()] * count]
    if count == 1:
        assert decode_to_worker(frames)[0] == REQUEST
    else:
        with pytest.raises(WireError):
            decode_to_worker(frames)
    with pytest.raises(WireError):
        decode_to_worker([bytes(encode(Heartbeat(1))[0]), *[b"x"] * max(count, 1)])


def test_a_pickle_is_nothing_but_junk() -> None:
    with pytest.raises(WireError):
        decode_to_worker([pickle.dumps(REQUEST.id)])


def test_an_overlong_header_is_refused_before_it_is_read() -> None:
    with pytest.raises(WireError, match="possible length"):
        decode_to_worker([b"\x01" * (HEADER_BYTES_MAX + 1)])


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes_are_a_message_or_a_wire_error(frames: list[bytes]) -> None:
    for decode in (decode_to_worker, decode_to_gateway):
        try:
            decode([bytes([PROTOCOL_VERSION]) + frames[0], *frames[1:]] if frames else frames)
        except WireError:
            continue
