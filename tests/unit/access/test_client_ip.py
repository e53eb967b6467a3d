"""The client's address behind proxies, honest and forged."""

from __future__ import annotations

import logging
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.client_ip import HOPS_MAX, ClientAddresses, bucket_of, client_of, parse_address
from shared.access_rules import parse_networks

TRUSTED = tuple(parse_networks("10.0.0.0/8, 192.0.2.1, fd00::/8"))


def scope(peer: str | None, *headers: tuple[bytes, bytes]) -> dict[str, object]:
    return {"type": "http", "client": (peer, 1234) if peer else None, "headers": list(headers)}


def test_without_proxies_the_peer_is_the_client() -> None:
    assert client_of("198.51.100.7", b"1.2.3.4", ()) == "198.51.100.7"


def test_a_trusted_proxys_word_is_taken() -> None:
    assert client_of("10.0.0.1", b"198.51.100.7", TRUSTED) == "198.51.100.7"


def test_what_the_client_wrote_itself_stands_further_left_and_is_ignored() -> None:
    assert client_of("10.0.0.1", b"1.1.1.1, 2.2.2.2, 198.51.100.7", TRUSTED) == "198.51.100.7"


def test_two_trusted_proxies_are_walked_through() -> None:
    assert client_of("10.0.0.1", b"6.6.6.6, 198.51.100.7, 192.0.2.1", TRUSTED) == "198.51.100.7"


def test_an_entry_that_is_no_address_ends_the_walk_at_the_proxy_that_passed_it_on() -> None:
    for junk in (b"unknown", b"1.2.3.4:notaport", b"<script>", b"", b"999.1.1.1", b"x" * 10_000):
        assert client_of("10.0.0.1", b"198.51.100.7, " + junk, TRUSTED) == "10.0.0.1"


def test_only_trusted_entries_give_the_leftmost_of_them() -> None:
    assert client_of("10.0.0.1", b"10.0.0.3, 10.0.0.2", TRUSTED) == "10.0.0.3"


def test_the_walk_ends_after_twenty_hops() -> None:
    hops = ", ".join(f"10.0.1.{n}" for n in range(100))
    assert client_of("10.0.0.1", hops.encode(), TRUSTED) == f"10.0.1.{100 - HOPS_MAX}"


def test_ports_brackets_and_mapped_addresses_are_understood() -> None:
    for text, expected in {
        "198.51.100.7:443": "198.51.100.7",
        "[2001:db8::1]:443": "2001:db8::1",
        "[2001:db8::1]": "2001:db8::1",
        "2001:DB8:0::1": "2001:db8::1",
        "::ffff:198.51.100.7": "198.51.100.7",
        " 198.51.100.7 ": "198.51.100.7",
    }.items():
        assert str(parse_address(text)) == expected


def test_a_mapped_peer_is_the_same_client_as_the_plain_one() -> None:
    assert client_of("::ffff:198.51.100.7", b"", ()) == "198.51.100.7"
    assert client_of("::ffff:10.0.0.1", b"198.51.100.7", TRUSTED) == "198.51.100.7"


@pytest.mark.parametrize("zone", ["%eth0", "%25eth0", "%<script>\n"])
def test_the_zone_of_an_address_says_nothing_to_others(zone: str) -> None:
    assert client_of("fe80::1" + zone, b"", ()) == "fe80::1"
    assert client_of("10.0.0.1", f"2001:db8::1{zone}".encode(), TRUSTED) == "2001:db8::1"


def test_ipv6_is_limited_by_the_64_that_one_customer_owns() -> None:
    assert bucket_of("2001:db8:1:2::1") == bucket_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert bucket_of("2001:db8:1:3::1") != bucket_of("2001:db8:1:2::1")
    assert bucket_of("198.51.100.7") == "198.51.100.7"


def test_a_thousand_addresses_of_one_64_are_one_bucket() -> None:
    addresses = ClientAddresses(())
    assert len({addresses.of(scope(f"2001:db8::{n:x}"))[1] for n in range(1000)}) == 1


def test_fifty_forged_headers_from_an_untrusted_peer_land_in_one_bucket() -> None:
    forged = [f"{n}.{n}.{n}.{n}".encode() for n in range(1, 30)]
    forged += [b"::1", b"::ffff:1.2.3.4", b"unknown", b"", b",", b",,,", b"10.0.0.1", b"127.0.0.1", b"[::1]:80"]
    forged += [b"1.2.3.4:notaport", b"a" * 10_000, b"\xff\xfe", b"1.1.1.1, 2.2.2.2", b"0x7f.1", b"1.2.3.4\t"]
    forged += [b"192.0.2.1", b"fd00::1", b"localhost", b"1" * 64, b"1.1.1.1;2.2.2.2", b"for=1.2.3.4"]
    assert len(forged) >= 50
    addresses = ClientAddresses(TRUSTED)
    for name in (b"x-forwarded-for", b"forwarded", b"x-real-ip"):
        assert {addresses.of(scope("198.51.100.7", (name, value))) for value in forged} == {
            ("198.51.100.7", "198.51.100.7")
        }


def test_behind_a_trusted_proxy_a_client_cannot_leave_its_bucket_by_writing_ahead() -> None:
    addresses = ClientAddresses(TRUSTED)
    forged = [b"1.1.1.1", b"10.0.0.9", b"junk", b"::1, 10.0.0.2", b"a" * 10_000, b"1.1.1.1," * 300]
    answers = {addresses.of(scope("10.0.0.1", (b"x-forwarded-for", f + b", 198.51.100.7")))[1] for f in forged}
    answers |= {
        addresses.of(scope("10.0.0.1", (b"x-forwarded-for", f), (b"x-forwarded-for", b"198.51.100.7")))[1]
        for f in forged
    }
    assert answers == {"198.51.100.7"}


def test_a_forwarding_header_from_an_untrusted_peer_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses(())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            addresses.of(scope("172.17.0.1", (b"x-forwarded-for", b"1.2.3.4")))
    assert len(caplog.records) == 1
    assert "FACE_API_TRUSTED_PROXIES=172.17.0.1" in caplog.text


def test_a_trusted_proxy_is_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ClientAddresses(TRUSTED).of(scope("10.0.0.1", (b"x-forwarded-for", b"1.2.3.4")))
    assert not caplog.records


def test_https_is_believed_of_the_connection_and_of_trusted_proxies_only() -> None:
    addresses, said = ClientAddresses(TRUSTED), (b"x-forwarded-proto", b"https")
    assert addresses.is_https(scope("10.0.0.1", said))
    assert addresses.is_https(scope("198.51.100.7") | {"scheme": "https"})
    assert not addresses.is_https(scope("198.51.100.7", said))
    assert not addresses.is_https(scope("10.0.0.1"))
    assert not addresses.is_https(scope("10.0.0.1", said, (b"x-forwarded-proto", b"http")))


def test_an_unreadable_peer_is_one_bucket() -> None:
    addresses = ClientAddresses(())
    assert addresses.of(scope(None)) == addresses.of(scope("")) == ("unknown", "unknown")


@given(st.binary(max_size=300))
def test_whatever_stands_in_the_header_the_answer_is_an_address(header: bytes) -> None:
    ip_address(client_of("10.0.0.1", header, TRUSTED))
