"""Where crops lie for workers: lent as long as anybody refers to it, and never to two at once."""

from __future__ import annotations

import mmap
import os
import random

import numpy as np
import pytest

from gateway.pictures import crop_memory
from gateway.pictures.crop_memory import CropMemory
from worker.crop_view import open_view

PAGE = mmap.PAGESIZE


@pytest.fixture
def memory() -> CropMemory:
    return CropMemory(8 * PAGE)  # one of them is the mark's


def full(memory: CropMemory) -> bool:
    return memory.lend(1) is None


def test_what_is_lent_is_free_again_when_its_last_view_is_gone(memory: CropMemory) -> None:
    room = memory.lend(7 * PAGE)
    assert room is not None
    crop = np.frombuffer(room.toreadonly()[3:9], np.uint8).reshape(1, 2, 3)[:, :1]
    del room
    assert full(memory)
    assert memory.lent_bytes == 7 * PAGE
    del crop
    assert memory.lent_bytes == 0
    assert not full(memory)


def test_nobody_is_lent_what_another_has() -> None:
    memory, chance, held = CropMemory(64 * PAGE), random.Random(1), dict[int, memoryview]()
    refused = 0
    for number in range(1, 3000):
        room = memory.lend(chance.randint(1, 9 * PAGE))
        if room is None:
            refused += 1
        else:
            room[:] = bytes([number % 251]) * len(room)
            held[number] = room
        while held and (room is None or chance.random() < 0.4):
            gone = chance.choice(list(held))
            assert set(held.pop(gone).tobytes()) == {gone % 251}
            room = b""
    assert refused > 10
    assert memory.lent_bytes == sum(-(-len(room) // PAGE) * PAGE for room in held.values())


def test_no_room_is_said_and_nothing_is_no_loan(memory: CropMemory) -> None:
    assert memory.lend(8 * PAGE) is None
    assert memory.lend(0) is None
    assert memory.lent_bytes == 0


def test_a_crop_that_lies_elsewhere_is_copied_and_one_that_lies_here_stays(memory: CropMemory) -> None:
    elsewhere = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    once = memory.placed([elsewhere])
    assert once is not None
    again = memory.placed([*once[0], elsewhere])
    assert again is not None
    assert again[0][0] is once[0][0]
    assert again[1][0] == once[1][0] != again[1][1]
    view = open_view(memory.address)
    for offset in again[1]:
        np.testing.assert_array_equal(view[offset : offset + 18].reshape(2, 3, 3), elsewhere)


def test_a_blank_crop_is_black_though_another_lay_there_and_is_not_copied_to_be_sent(memory: CropMemory) -> None:
    room = memory.lend(7 * PAGE)
    assert room is not None
    room[:] = bytes([9]) * len(room)
    del room
    blank = memory.blank((2, 3, 3))
    assert blank is not None
    assert not blank.any()
    blank[:] = 5
    placed = memory.placed([blank])
    assert placed is not None
    assert placed[0][0] is blank
    assert memory.blank((7 * PAGE, 1, 3)) is None


def test_of_several_crops_all_find_room_or_none_keeps_any(memory: CropMemory) -> None:
    large = np.zeros((5, PAGE // 3, 3), np.uint8)
    assert memory.placed([large, large]) is None
    assert memory.lent_bytes == 0
    assert memory.placed([large]) is not None


def test_what_many_crops_touched_goes_back_when_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_memory, "KEPT_BYTES", 4 * PAGE)
    memory = CropMemory(64 * PAGE)
    rooms = [memory.lend(PAGE) for _ in range(60)]
    for room in rooms:
        assert room is not None
        room[:] = b"x" * PAGE
    taken = os.fstat(memory.address.descriptor).st_blocks * 512
    del room, rooms
    assert taken >= 60 * PAGE
    assert os.fstat(memory.address.descriptor).st_blocks * 512 <= 4 * PAGE
    kept = memory.lend(60 * PAGE)
    assert kept is not None
    assert kept[:3] == b"xxx"
    assert kept[-PAGE:] == bytes(PAGE)


def test_who_has_it_keeps_it_after_the_gateway_closed_it(memory: CropMemory) -> None:
    room, view = memory.lend(3), open_view(memory.address)
    memory.close()
    assert room is not None
    room[:] = b"abc"
    assert view[PAGE : PAGE + 3].tobytes() == b"abc"
    with pytest.raises(OSError, match="No such file"):
        open_view(memory.address)
