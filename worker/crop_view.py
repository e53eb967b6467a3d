"""A gateway's crop memory as a worker of its host sees it: read-only, for as long as a view of it is held."""

from __future__ import annotations

import fcntl
import mmap
import os

import numpy as np
from numpy.typing import NDArray

from shared.messages import MARK_BYTES, CropMemoryAddress


def open_view(address: CropMemoryAddress) -> NDArray[np.uint8]:
    """(size,) uint8. Raises OSError or ValueError where it cannot be had: say why, and take crops as frames.

    Where processes are numbered otherwise than in the gateway, another's memory could be met: the mark tells.
    """
    path = f"/proc/{address.pid}/fd/{address.descriptor}"
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        # Memory that gets shorter under a reader's hands ends him with a bus error.
        if not fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
            raise ValueError(f"{path} is memory that may get shorter")
        view = np.frombuffer(mmap.mmap(descriptor, address.size, mmap.MAP_SHARED, mmap.PROT_READ), np.uint8)
    finally:
        os.close(descriptor)
    if view[:MARK_BYTES].tobytes() != address.mark:
        raise ValueError(f"{path} is not the gateway's crop memory")
    return view
