"""Shutting this process in for good: what the kernel offers of Landlock and seccomp, and no capabilities.

Afterwards it can use what it has open and its own memory, and little else. Everything it needs must be loaded before.
"""

from __future__ import annotations

import struct
from pathlib import Path

from gateway.pictures.sandbox import kernel, landlock, seccomp
from gateway.pictures.sandbox.report import Sandbox

_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522


def close_door() -> Sandbox:
    """Shuts this process in as far as the kernel can, and says how far that is."""
    threads = len(list(Path("/proc/self/task").iterdir()))
    kernel.control(_PR_SET_NO_NEW_PRIVS, 1)
    kernel.set_capabilities(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))  # root, too, is nobody inside
    abi, *notes = _landlocked(threads)
    judged, *more = _judged()
    return Sandbox(abi, judged, tuple(note for note in (*notes, *more) if note))


def _landlocked(threads: int) -> tuple[int, str]:
    """Landlock's version, 0 where it does not hold; and what lacks."""
    try:
        abi = landlock.version()
        landlock.restrict(abi)
    except OSError as error:
        return 0, landlock.why_not(error)
    if threads > 1:  # it holds the thread that asks, and those it starts from then on
        return 0, f"Landlock does not hold {threads - 1} threads that a library started while it was loaded"
    return abi, landlock.lacking(abi)


def _judged() -> tuple[bool, str]:
    """Whether seccomp holds, and why it does not."""
    if not seccomp.known_machine():
        return False, seccomp.unknown_machine()
    try:
        seccomp.restrict()
    except OSError as error:
        return False, seccomp.why_not(error)
    return True, ""
