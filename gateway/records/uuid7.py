"""UUIDs that sort by the time they were made (RFC 9562, 5.7); Python has them from 3.14 on."""

from __future__ import annotations

import secrets
import time
from uuid import UUID

_RANDOM_BITS = 62


def uuid7_now() -> str:
    """A new one of this moment."""
    return str(uuid7(time.time_ns(), secrets.randbits(64)))


def uuid7(now_ns: int, tail: int) -> UUID:
    """now_ns: nanoseconds since the epoch. tail: random, its lowest 62 bits count.

    The 12 bits behind the milliseconds are the rest of the moment, to a quarter of a microsecond (RFC 9562, 6.2,
    method 3): what one host makes sorts as it was made, unless its clock is set back.
    """
    milliseconds, rest_ns = divmod(now_ns, 1_000_000)
    fraction = (rest_ns << 12) // 1_000_000
    head = (milliseconds % 2**48) << 80 | 0x7 << 76 | fraction << 64
    return UUID(int=head | 0b10 << _RANDOM_BITS | tail % 2**_RANDOM_BITS)
