"""Memory without a name that travels between processes as a file descriptor. Alone knows memfd and mmap.

Nothing of it can be found on a disk or under /dev/shm, and it ends with its last user, however that one ends.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterable

Bytes = bytes | bytearray | memoryview


def stored(parts: Iterable[Bytes]) -> int:
    """A new descriptor whose memory holds the parts one after the other. The caller closes it."""
    descriptor = os.memfd_create("picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for part in parts:
            _write(descriptor, memoryview(part).cast("B"))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write(descriptor: int, rest: memoryview) -> None:
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def mapped(descriptor: int, size: int) -> memoryview:
    """The first `size` bytes, read-only, and closes the descriptor; the memory lives as long as the view.

    Sealed first: whoever else holds it cannot make it shorter under our hands, which would end this process with
    a bus error. Raises ValueError when the memory is smaller, OSError when it cannot be sealed.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        if os.fstat(descriptor).st_size < size:
            raise ValueError("less memory than announced")
        return memoryview(mmap.mmap(descriptor, size, prot=mmap.PROT_READ)) if size else memoryview(b"")
    finally:
        os.close(descriptor)


def close_all(descriptors: Iterable[int]) -> None:
    """Closes descriptors nobody will map."""
    for descriptor in descriptors:
        os.close(descriptor)
