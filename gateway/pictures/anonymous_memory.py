"""Memory without a name that two processes share through a file descriptor. Alone knows memfd and mmap.

Nothing of it can be found on a disk or under /dev/shm, and it ends with its last user, however that one ends.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterable, Sequence

from shared.settings import MEBIBYTE

Bytes = bytes | bytearray | memoryview

#: Bytes each way in a slab: nearly every upload, both crops of a picture, nearly every masked JPEG.
HALF_BYTES = 4 * MEBIBYTE


#: Memory that gets shorter under a reader's hands ends him with a bus error.
_AS_LONG_AS_IT_IS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_FOR_GOOD = _AS_LONG_AS_IT_IS | fcntl.F_SEAL_WRITE


class Slab:
    """Memory that a gateway and one child keep: touching fresh pages costs more than copying into used ones.

    One job at a time uses it: `to_child` holds what goes in, `to_gateway` what comes out.
    """

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, 2 * HALF_BYTES)
        whole = memoryview(self._map)
        self.to_child, self.to_gateway = whole[:HALF_BYTES], whole[HALF_BYTES:]

    @staticmethod
    def descriptor() -> int:
        """New memory of the right size. The caller closes the descriptor."""
        return fixed(2 * HALF_BYTES)


def fixed(size: int) -> int:
    """New memory of so many zeros, which nobody can make shorter. The caller closes the descriptor."""
    descriptor = _create()
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _AS_LONG_AS_IT_IS)
    return descriptor


def put(parts: Sequence[Bytes], room: memoryview) -> int | None:
    """Writes the parts one after the other into `room`; where they do not fit, into new memory: its descriptor."""
    if sum(map(len, parts)) > len(room):
        return stored(parts)
    start = 0
    for part in parts:
        room[start : start + len(part)] = part
        start += len(part)
    return None


def blank(size: int) -> mmap.mmap:
    """So many zeros of this process alone; those that nobody touches take no memory. Raises MemoryError."""
    try:
        return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        raise MemoryError from None


def stored(parts: Iterable[Bytes]) -> int:
    """A new descriptor whose memory holds the parts one after the other. The caller closes it."""
    descriptor = _create()
    try:
        for part in parts:
            _write(descriptor, memoryview(part))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write(descriptor: int, rest: memoryview) -> None:
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def mapped(descriptor: int, size: int) -> memoryview:
    """The first `size` bytes, read-only; closes the descriptor. The memory lives as long as the view.

    Raises ValueError when the memory is smaller.
    """
    try:
        if os.fstat(descriptor).st_size < size:
            raise ValueError("less memory than announced")
        # kernels before 6.7 share no memory that is sealed against writing, but show it
        return memoryview(mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ)) if size else memoryview(b"")
    finally:
        os.close(descriptor)


def received(descriptor: int, size: int) -> memoryview:
    """The same of memory from a process that is not trusted: it can change nothing of it any more.

    Raises OSError when it holds it in a way that it could, or when it is no memory.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _FOR_GOOD)
    except OSError:
        os.close(descriptor)
        raise
    return mapped(descriptor, size)


def close_all(descriptors: Iterable[int]) -> None:
    """Closes descriptors nobody will map."""
    for descriptor in descriptors:
        os.close(descriptor)


def _create() -> int:
    return os.memfd_create("picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
