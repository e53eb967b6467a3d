"""Ports for servers that are started in a moment, or again."""

from __future__ import annotations

import contextlib
import secrets
import socket
from pathlib import Path

_LOWEST = 10_000
_GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int = 1) -> int:
    """The first of so many neighbouring loopback ports that nobody has.

    They lie below those that the kernel gives to outgoing connections: one of these may take a port whose server is
    just being started again, even one that is on its way to it.
    """
    highest = int(_GIVEN_AWAY.read_text(encoding="ascii").split()[0]) - count
    while True:
        first = _LOWEST + secrets.randbelow(highest - _LOWEST)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
