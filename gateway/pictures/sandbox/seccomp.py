"""seccomp: from now on every system call of this process is judged by a program (`policy.py`)."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from gateway.pictures.sandbox import bpf, kernel, policy
from gateway.pictures.sandbox.system_calls import MACHINES

_SET_MODE_FILTER = 1
#: All threads at once; and no brake on speculation, which kernels before 5.16 put on every process with a filter:
#: nothing in this one is hidden from the rest of it.
_ALL_THREADS, _FULL_SPEED = 1, 4


def known_machine() -> bool:
    """Whether we know this machine's system calls, for programs of its full word size."""
    return platform.machine() in MACHINES and struct.calcsize("P") == 8


def restrict() -> None:
    """Judges this process from now on; no_new_privs must be set. Raises OSError."""
    machine = MACHINES[platform.machine()]
    program = policy.program(machine, os.getpid())
    steps = ctypes.create_string_buffer(bpf.packed(program))
    announced = struct.pack("HxxxxxxP", len(program), ctypes.addressof(steps))  # struct sock_fprog
    kernel.call(machine.numbers["seccomp"], _SET_MODE_FILTER, _ALL_THREADS | _FULL_SPEED, announced)


def why_not(error: OSError) -> str:
    """Why there is no seccomp, with the mend."""
    if error.errno == errno.EINVAL:
        return "the kernel has no seccomp filters: it must be built with CONFIG_SECCOMP_FILTER"
    if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        return "the container forbids seccomp filters: permit the seccomp call in its profile"
    return f"seccomp failed ({os.strerror(error.errno or 0)})"


def unknown_machine() -> str:
    """What to say where we know no numbers."""
    names = " and ".join(MACHINES)
    return f"seccomp is not used on {platform.machine()}: the system calls of {names} are known"
