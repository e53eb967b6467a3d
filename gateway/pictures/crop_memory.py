"""CropMemory: where the crops of one gateway process lie, for workers of its host that read them there.

Alone knows how long a crop stays. What is lent is free again when nothing refers to it any more: the picture that it
was made for, and the work that a worker has in hand. So a crop is never overwritten under a worker whose answer is
awaited, and one that dies leaves nothing to be found again.
"""

from __future__ import annotations

import math
import mmap
import os
import secrets
import threading
import weakref
from collections.abc import Sequence

import numpy as np

from gateway.pictures.anonymous_memory import fixed
from shared.messages import MARK_BYTES, CropMemoryAddress
from shared.settings import MEBIBYTE
from shared.wire import CropArray

#: Room for 218 crops of 640×640: more than the workers of a card hold. Only what is touched takes memory.
SIZE = 256 * MEBIBYTE
#: So much of what was touched stays when nothing is lent.
KEPT_BYTES = 16 * MEBIBYTE
_PAGE = mmap.PAGESIZE


class CropMemory:
    """address: where a worker of this host finds it. Lending is for one thread; crops may end in any."""

    def __init__(self, size: int = SIZE) -> None:
        assert size % _PAGE == 0
        self._descriptor = fixed(size)
        self._map = mmap.mmap(self._descriptor, size)
        self._start: int = np.frombuffer(self._map, np.uint8).__array_interface__["data"][0]
        self._lent = bytearray(size // _PAGE)  # by page: whether it is
        self._lent[0] = 1  # the mark's
        self._touched = 1  # pages, from the start
        self._loans: dict[int, weakref.ref[CropArray]] = {}  # by first page
        mark = secrets.token_bytes(MARK_BYTES)
        self._map[:MARK_BYTES] = mark
        self.address = CropMemoryAddress(os.getpid(), self._descriptor, size, mark)
        # The same thread may come in again: what is collected as garbage is taken back in the middle of anything.
        self._lock = threading.RLock()

    @property
    def lent_bytes(self) -> int:
        """In whole pages."""
        return (self._lent.count(1) - 1) * _PAGE

    def lend(self, size: int) -> memoryview | None:
        """`size` bytes for as long as the view, or one of it, is referred to; None where there is no room."""
        pages = -(-size // _PAGE)
        with self._lock:
            first = self._lent.find(bytes(pages)) if size else -1
            if first < 0:
                return None
            self._lent[first : first + pages] = b"\1" * pages
            self._touched = max(self._touched, first + pages)
        lent = np.frombuffer(self._map, np.uint8, size, first * _PAGE)
        self._loans[first] = weakref.ref(lent, lambda _: self._take_back(first, pages))
        # Views of an array refer to the memory behind it, not to the array; those of a memoryview to what it is of.
        return lent.data

    def blank(self, shape: tuple[int, int, int]) -> CropArray | None:
        """A black crop to paint in; None where there is no room."""
        room = self._array(shape)
        if room is not None:
            room.fill(0)
        return room

    def placed(self, crops: Sequence[CropArray]) -> tuple[tuple[CropArray, ...], tuple[int, ...]] | None:
        """The crops as they lie here, copied where they did not, and where each begins; None where there is no room."""
        placed: list[CropArray] = []
        for crop in crops:
            here = crop if 0 <= self._offset_of(crop) < len(self._map) else self._copied(crop)
            if here is None:
                return None
            placed.append(here)
        return tuple(placed), tuple([self._offset_of(crop) for crop in placed])

    def close(self) -> None:
        """No further worker finds it; those who have it, and views of it, keep it."""
        os.close(self._descriptor)

    def _copied(self, crop: CropArray) -> CropArray | None:
        copy = self._array(crop.shape)
        if copy is not None:
            copy[:] = crop
        return copy

    def _array(self, shape: tuple[int, ...]) -> CropArray | None:
        room = self.lend(math.prod(shape))
        return None if room is None else np.frombuffer(room, np.uint8).reshape(shape)

    def _offset_of(self, crop: CropArray) -> int:
        """From the start of this memory; outside of it where the crop lies elsewhere."""
        address: int = crop.__array_interface__["data"][0]
        return address - self._start

    def _take_back(self, first: int, pages: int) -> None:
        with self._lock:
            del self._loans[first]
            self._lent[first : first + pages] = bytes(pages)
            if self._touched * _PAGE > KEPT_BYTES and self._lent.find(1, 1) < 0:
                self._map.madvise(mmap.MADV_REMOVE, KEPT_BYTES, self._touched * _PAGE - KEPT_BYTES)
                self._touched = KEPT_BYTES // _PAGE
