"""Gateways on some hosts, workers on others: which settings are needed for which half, and how addresses are written.

Pure: `shared/environment.py` asks it before a process starts; gateways and workers use the same parsers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from shared.access_rules import items
from shared.settings import Settings
from shared.wire_keys import problem

SCHEME = "tcp://"
PORT_MAX = 65535
_MAKE = "`python -m deploy.wire_keys NAME` makes a pair"


class HostPort(NamedTuple):
    """A name or an address without brackets, and a port: of a pool. Its workers have the ports behind it."""

    host: str
    port: int

    def endpoint(self, above: int = 0) -> str:
        """As ZeroMQ writes it; above: 0 for the pool, 1 for its first worker."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEME}{host}:{self.port + above}"


def host_port(text: str) -> HostPort:
    """`10.0.0.21:7400`, `[fd00::1]:7400` or `name:7400`, with or without tcp://. ValueError, in words."""
    host, _, port = text.removeprefix(SCHEME).rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not host or (":" in host and not bracketed) or "/" in host or not (port.isascii() and port.isdigit()):
        raise ValueError(f"{text} is no address; write tcp://10.0.0.21:7400")
    if not 0 < int(port) <= PORT_MAX:
        raise ValueError(f"{text}: the port must be 1 to {PORT_MAX}")
    return HostPort(host, int(port))


def hosts_of(settings: Settings) -> list[HostPort]:
    """Where pools are said to be; ValueError."""
    return [host_port(text) for text in items(settings.wire_hosts)]


def bind_of(settings: Settings) -> HostPort:
    """Where this host's pool listens; ValueError."""
    return host_port(settings.wire_bind)


def split_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    """(setting, problem with its mend) for everything about two halves that must not start."""
    if settings.role == "both":
        for name in ("wire_bind", "wire_hosts"):
            if getattr(settings, name):
                yield name, "is for one half alone: set FACE_API_ROLE to gateway or workers, or remove it"
        return
    yield from _place_problems(settings)
    if not settings.wire_key:
        yield "wire_key", f"is empty, and hosts speak to one another only with keys; {_MAKE}"
    elif wrong := problem(settings.wire_key):
        yield "wire_key", f"{wrong}; {_MAKE}"
    if not settings.wire_peers:
        yield "wire_peers", "is empty: name a file or a folder with the public keys of the other half"


def _place_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    name, other = ("wire_bind", "wire_hosts") if settings.role == "workers" else ("wire_hosts", "wire_bind")
    if getattr(settings, other):
        yield other, f"is for the other half, FACE_API_ROLE is {settings.role}"
    try:
        if not getattr(settings, name):
            yield name, f"is empty: FACE_API_ROLE={settings.role} needs it"
        elif settings.role == "workers":
            bind_of(settings)
        else:
            hosts_of(settings)
    except ValueError as error:
        yield name, str(error)
