"""What a transport's socket knows and the event loop does not tell."""

from __future__ import annotations

import asyncio
import fcntl
import select
import struct
import termios


def has_come(transport: asyncio.Transport) -> bool:
    """Whether bytes, or the end of them, wait to be read."""
    return bool(_polled(transport, select.POLLIN))


def is_reset(transport: asyncio.Transport) -> bool:
    """Whether the other side has said that nobody is there any more."""
    return bool(_polled(transport, 0))


def bytes_not_taken(transport: asyncio.Transport) -> int:
    """Bytes in the kernel's hand that the other side has not confirmed; 0 where the system does not tell."""
    try:
        told = fcntl.ioctl(_descriptor(transport), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int(struct.unpack("i", told)[0])


def _polled(transport: asyncio.Transport, events: int) -> int:
    """Which of `events` are there, and errors in any case."""
    polled = select.poll()
    polled.register(_descriptor(transport), events)
    return sum(found for _, found in polled.poll(0))


def _descriptor(transport: asyncio.Transport) -> int:
    return int(transport.get_extra_info("socket").fileno())
