"""The client's address: the peer, or what trusted proxies in front say it was. Pure but for one warning.

It alone reads X-Forwarded-For, from the right, and only through the networks named as trusted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from shared import numerals
from shared.access_rules import Network

Address = IPv4Address | IPv6Address

FORWARDING_HEADERS = (b"x-forwarded-for", b"forwarded", b"x-real-ip")
HOPS_MAX = 20
ENTRY_LENGTH_MAX = 64
REMEMBERED = 4096
UNKNOWN = "unknown"


def parse_address(text: str) -> Address | None:
    """An address as proxies write it (`1.2.3.4`, `1.2.3.4:5678`, `[::1]:80`, `::ffff:1.2.3.4`), or None."""
    text = text.strip()
    if len(text) > ENTRY_LENGTH_MAX:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if numerals.count(port) is None:
            return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))  # without its zone, which may be any text


def client_of(peer: str, forwarded: bytes, trusted: tuple[Network, ...]) -> str:
    """The nearest address that no trusted proxy owns; an entry that is no address ends the walk.

    `forwarded` is every X-Forwarded-For header joined with commas. An unreadable peer is `unknown`.
    """
    nearest = parse_address(peer)
    if nearest is None:
        return UNKNOWN
    entries = forwarded.rsplit(b",", HOPS_MAX)[-HOPS_MAX:] if forwarded else []
    while entries and _is_trusted(nearest, trusted):
        further = parse_address(entries.pop().decode("latin-1"))
        if further is None:
            break  # what stands further left was written by whoever wrote this
        nearest = further
    return str(nearest)


def bucket_of(address: str) -> str:
    """What is limited together: an IPv4 address, or the /64 that one IPv6 customer owns."""
    parsed = parse_address(address)
    if not isinstance(parsed, IPv6Address):
        return str(parsed or address)
    return str(IPv6Network((int(parsed) >> 64 << 64, 64)))


class ClientAddresses:
    """(address, bucket) of a connection; remembers the last few thousand answers."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = tuple(trusted)
        self._resolve = lru_cache(REMEMBERED)(self._resolved)
        self._warned = False

    def of(self, scope: Mapping[str, Any]) -> tuple[str, str]:
        """The client's address and bucket. `scope` is ASGI's, untouched by a proxy middleware."""
        client = scope.get("client")
        peer = client[0] if client else ""
        forwarded = b""
        for name, value in scope["headers"]:
            if name in FORWARDING_HEADERS:
                if not self._warned:
                    self._warn_once(peer)
                if name == b"x-forwarded-for":
                    forwarded = forwarded + b"," + value if forwarded else value
        if len(forwarded) > 512:
            forwarded = forwarded[-512:]  # 20 hops fit; what is longer is not worth remembering
        return self._resolve(peer, forwarded if self._trusted else b"")

    def is_trusted(self, scope: Mapping[str, Any]) -> bool:
        """Whether the peer is one of the named proxies."""
        client = scope.get("client")
        address = parse_address(client[0]) if client else None
        return address is not None and _is_trusted(address, self._trusted)

    def is_https(self, scope: Mapping[str, Any]) -> bool:
        """Whether the client speaks HTTPS, to us or to a trusted proxy that says so."""
        if scope.get("scheme") == "https":
            return True
        said = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
        return said == [b"https"] and self.is_trusted(scope)

    def _resolved(self, peer: str, forwarded: bytes) -> tuple[str, str]:
        address = client_of(peer, forwarded, self._trusted)
        return address, bucket_of(address)

    def _warn_once(self, peer: str) -> None:
        address = parse_address(peer)
        if address is not None and _is_trusted(address, self._trusted):
            return
        self._warned = True
        logging.getLogger("face_api.access").warning(
            "%s sent a forwarding header but is no trusted proxy, so its clients share one rate limit; "
            "if it is your load balancer, set FACE_API_TRUSTED_PROXIES=%s",
            peer or "a unix socket",
            peer or "…",
        )


def _is_trusted(address: Address, trusted: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)
