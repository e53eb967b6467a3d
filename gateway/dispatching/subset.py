"""Which workers one of many gateway processes is linked to: the same ones whenever it is asked. Pure.

Rendezvous hashing (Thaler and Ravishankar, 1998): each pair of a gateway and a place has a number, and a gateway takes
the places with the highest. When a place comes or goes, only links to that one move; when there are as many links
as places, all are taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def subset(gateway: str, places: Iterable[str], count: int) -> set[str]:
    """At most `count` of the places, by name."""
    return set(sorted(places, key=lambda place: _claim(gateway, place), reverse=True)[:count])


def _claim(gateway: str, place: str) -> bytes:
    return hashlib.blake2b(f"{gateway} {place}".encode(), digest_size=8).digest()
