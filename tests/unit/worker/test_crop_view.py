"""A worker reads a gateway's crops where they lie, and nothing that is not a gateway's crop memory."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from msgspec import structs

from gateway.pictures.anonymous_memory import fixed
from gateway.pictures.crop_memory import CropMemory
from shared.messages import CropMemoryAddress
from worker.crop_view import open_view

SIZE = 1 << 16


@pytest.fixture
def memory() -> CropMemory:
    return CropMemory(SIZE)


def test_it_sees_what_the_gateway_writes_and_can_write_nothing(memory: CropMemory) -> None:
    room, view = memory.lend(3), open_view(memory.address)
    assert room is not None
    room[:] = b"abc"
    assert view.shape == (SIZE,)
    assert b"abc" in view.tobytes()
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1


def test_memory_with_another_mark_is_another_gateway_s(memory: CropMemory) -> None:
    with pytest.raises(ValueError, match="not the gateway's crop memory"):
        open_view(structs.replace(memory.address, mark=bytes(16)))


def test_memory_that_is_smaller_than_was_said_is_refused(memory: CropMemory) -> None:
    with pytest.raises(ValueError, match="greater than file size"):
        open_view(structs.replace(memory.address, size=2 * SIZE))


def test_what_is_no_sealed_memory_is_refused_and_nothing_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(bytes(SIZE))
    pipe, _other = os.pipe()
    with socket.socket() as end:
        opened = [
            os.open(tmp_path / "fifo", os.O_RDWR), os.open(tmp_path / "file", os.O_RDWR), pipe, end.fileno(),
            os.memfd_create("unsealed", os.MFD_ALLOW_SEALING), fixed(SIZE), 1 << 20,
        ]  # fmt: skip
        for descriptor in opened:
            with pytest.raises((OSError, ValueError)):
                open_view(CropMemoryAddress(os.getpid(), descriptor, SIZE, b"m" * 16))
        for descriptor in (*opened[:3], *opened[4:6], _other):
            os.close(descriptor)
