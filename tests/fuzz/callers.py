"""Who is calling: addresses behind proxies, and keys in headers and URLs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from gateway.access.auth import could_be_a_key, presented_key, refuse_key_in_url
from gateway.access.client_ip import UNKNOWN, ClientAddresses, bucket_of, client_of
from gateway.stores.key_format import KEY_PATTERN, hint, redact, well_formed
from shared.access_rules import Network
from shared.errors import BadParameter, Unauthorized
from tests.fuzz.target import check_words, steps_within

_TRUSTED: tuple[Network, ...] = (ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32"), ip_network("fd00::/8"))
_STEPS_FREE, _STEPS_PER_BYTE = 4000, 40


def check_address(data: bytes) -> None:
    """The first line is the peer, the rest is X-Forwarded-For: an address in its one spelling, or `unknown`."""
    peer, _, forwarded = data.partition(b"\n")
    said = peer.decode("latin-1")
    with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * len(data)):
        address = client_of(said, forwarded, _TRUSTED)
        bucket = bucket_of(address)
    if address == UNKNOWN:
        assert bucket == UNKNOWN
        return
    parsed = ip_address(address)
    assert str(parsed) == address
    assert re.fullmatch(r"[0-9a-f.:]{2,45}", address), f"an address that says more: {address!r}"
    assert parsed in ip_network(bucket)
    assert client_of(said, b"", _TRUSTED) == address or said_by_trusted(said)
    scope = {"client": (said, 1), "headers": [(b"x-forwarded-for", each) for each in forwarded.split(b"\n")]}
    ClientAddresses(_TRUSTED).of(scope)


def said_by_trusted(peer: str) -> bool:
    """Whether this peer may say who is behind it."""
    own = ip_address(client_of(peer, b"", ()))
    return any(own.version == network.version and own in network for network in _TRUSTED)


def check_key(data: bytes) -> None:
    """A key is one only with the right checksum, is never shown whole, and never taken from a URL."""
    with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * len(data)):
        right = re.fullmatch(rb"xyl_[0-9a-f]{64}", data) is not None and int(data[-8:], 16) == zlib.crc32(data[:-8])
        assert well_formed(data) == could_be_a_key(data) == right
        text = data.decode("latin-1")
        shown = redact(text)
        assert re.search(KEY_PATTERN, shown) is None
        assert redact(shown) == shown
        assert len(hint(text)) <= 10
        try:
            refuse_key_in_url(data)
            assert b"xyl_" not in data
        except BadParameter as error:
            check_words(error)
        first, _, second = data.partition(b"\n")
        try:
            assert presented_key([(b"x-api-key", first), (b"x-api-key", second)]) == first.strip() == second.strip()
        except Unauthorized as error:
            check_words(error)
            assert first != second


def address_seeds() -> Iterator[bytes]:
    for peer in ("10.0.0.1", "1.2.3.4", "::1", "fd00::1", "::ffff:10.1.1.1", "fe80::1%eth0", "", "unix"):
        yield peer.encode()
        yield f"{peer}\n9.9.9.9".encode()
    yield b"10.0.0.1\n8.8.8.8:443, [2001:db8::1]:80, 10.0.0.2"
    yield b"10.0.0.1\nfe80::1%25eth0, 2001:db8::1%x, \xff, 1.2.3.4:x, 01.2.3.4"
    yield b"10.0.0.1\n" + b"10.0.0.2," * 40


def key_seeds() -> Iterator[bytes]:
    body = b"xyl_" + b"0123456789abcdef" * 3 + b"01234567"
    key = body + b"%08x" % zlib.crc32(body)
    yield key
    yield key[:-1] + b"0"
    yield key.upper()
    yield key[:30]
    yield b"a=1&api_key=" + key
    yield b"a=%78yl_" + key[4:]
    yield key + b"\n" + key
    yield key + b"\n " + key
    yield b"before " + key + key[4:] + b" behind"
