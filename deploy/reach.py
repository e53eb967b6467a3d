"""Whether the halves of a service that is split over hosts can find one another."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.split_rules import hosts_of
from shared.wire_keys import read_peers


def reach_problem(settings: Settings) -> str:
    """Why the halves cannot find one another; empty where they can, or nothing is split."""
    if settings.role == "both":
        return ""
    try:
        read_peers(Path(settings.wire_peers))
    except ConfigurationError as error:
        return str(error)
    return next(_nameless(settings), "") if settings.role == "gateway" else ""


def _nameless(settings: Settings) -> Iterator[str]:
    for place in hosts_of(settings):
        try:
            socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        except OSError as error:
            yield (
                f"FACE_API_WIRE_HOSTS: {place.host} has no address ({error.strerror}); correct it, or have the name "
                "point at the hosts of workers before gateways start"
            )
