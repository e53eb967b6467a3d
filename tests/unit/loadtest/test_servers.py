"""What the bench is told of each server it compares with."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import servers
from loadtest.servers import DETECT, PEERS


def test_every_peer_has_its_way_and_its_module() -> None:
    modules = {path.stem.removesuffix("_server") for path in Path(servers.__file__).parent.glob("peers/*_server.py")}
    assert modules == set(PEERS)


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_asked_where_it_answers(name: str) -> None:
    way = PEERS[name]
    assert way.ready != way.detect
    assert (way.detect == DETECT) == (name != "triton")
