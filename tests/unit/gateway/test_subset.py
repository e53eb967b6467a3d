"""Which workers a gateway process is linked to: always the same, evenly, and few links move when a place comes or goes."""

from __future__ import annotations

from collections import Counter

from gateway.dispatching.subset import subset

PLACES = [f"tcp://10.0.0.{host}:{port}" for host in range(10) for port in range(7401, 7405)]
GATEWAYS = [f"host{host}.gateway-{process}" for host in range(25) for process in range(4)]


def test_a_gateway_takes_so_many_places_and_the_same_ones_in_whatever_order_they_come() -> None:
    for gateway in GATEWAYS[:5]:
        assert len(subset(gateway, PLACES, 8)) == 8
        assert subset(gateway, PLACES, 8) == subset(gateway, reversed(PLACES), 8)
    assert subset("any", PLACES, 100) == set(PLACES)
    assert subset("any", [], 8) == set()


def test_every_worker_has_gateways_and_none_has_most_of_them() -> None:
    links = Counter(place for gateway in GATEWAYS for place in subset(gateway, PLACES, 8))
    assert len(links) == len(PLACES)
    assert max(links.values()) < 2 * len(GATEWAYS) * 8 / len(PLACES)


def test_when_a_place_goes_only_links_to_it_move() -> None:
    for gateway in GATEWAYS:
        before, after = subset(gateway, PLACES, 8), subset(gateway, PLACES[1:], 8)
        assert len(before - after) == (PLACES[0] in before)
