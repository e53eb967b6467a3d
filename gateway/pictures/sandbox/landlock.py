"""Landlock: from now on this process opens no file, no TCP port, no abstract socket, and signals nobody outside.

Source: Documentation/userspace-api/landlock.rst, linux/landlock.h. Alone knows what each version of it can hold.
"""

from __future__ import annotations

import errno
import os
import struct

from gateway.pictures.sandbox import kernel
from gateway.pictures.sandbox.system_calls import LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF

_VERSION_WANTED = 1  # LANDLOCK_CREATE_RULESET_VERSION
#: How many kinds of access to files each version knows, from its own number on: execute … make_sym, then refer,
#: truncate and ioctl_dev. Bits in the order they were added.
_FILE_BITS = {1: 13, 2: 14, 3: 15, 5: 16}
_TCP_FROM, _TCP_BITS = 4, 2
_SCOPES_FROM, _SCOPE_BITS = 6, 2
#: What a version lacks until it is this one.
_ADDED = {3: "truncating files", 4: "TCP", 5: "device calls", 6: "abstract sockets and signals"}


def version() -> int:
    """Which Landlock the kernel has. Raises OSError when it has none for us."""
    return kernel.call(LANDLOCK_CREATE_RULESET, None, 0, _VERSION_WANTED)


def attributes(abi: int) -> bytes:
    """struct landlock_ruleset_attr: everything this version can hold is held, and no rule allows any of it."""
    files = max(bits for since, bits in _FILE_BITS.items() if since <= abi)
    words = [_ones(files)]
    if abi >= _TCP_FROM:
        words.append(_ones(_TCP_BITS))
    if abi >= _SCOPES_FROM:
        words.append(_ones(_SCOPE_BITS))
    return struct.pack(f"={len(words)}Q", *words)


def restrict(abi: int) -> None:
    """Shuts the calling thread in for good; no_new_privs must be set. Raises OSError."""
    wanted = attributes(abi)
    ruleset = kernel.call(LANDLOCK_CREATE_RULESET, wanted, len(wanted), 0)
    try:
        kernel.call(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def lacking(abi: int) -> str:
    """What an old version does not hold, in words; empty for one that holds all we know."""
    missing = [words for since, words in _ADDED.items() if since > abi]
    if not missing:
        return ""
    return f"Landlock of version {abi} does not hold {', '.join(missing)}; Linux 6.12 and later do"


def why_not(error: OSError) -> str:
    """Why there is no Landlock, with the mend."""
    if error.errno == errno.EOPNOTSUPP:
        return "Landlock is in the kernel but not switched on: add landlock to its boot option lsm="
    if error.errno == errno.ENOSYS:
        return "the kernel has no Landlock, or a container hides it: Linux 5.13 and Docker 23.0 or later have it"
    if error.errno in (errno.EPERM, errno.EACCES):
        return (
            "the container forbids Landlock: permit landlock_create_ruleset and landlock_restrict_self in its "
            "seccomp profile, as Docker 23.0 and later do"
        )
    return f"Landlock failed ({os.strerror(error.errno or 0)})"


def _ones(count: int) -> int:
    return (1 << count) - 1
