"""What a detect request costs the gateway in calls does not creep up: each step that is added is added knowingly."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from loadtest.calls import ROOT, Found

#: A few more than it makes. Whoever needs more raises it, and says in the change what for.
CALLS_MAX = 1205


def test_a_request_makes_no_more_calls_than_it_did() -> None:
    words = [sys.executable, "-m", "loadtest.calls", "--rounds", "0", "--json"]
    told = subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout
    found = msgspec.json.decode(told, type=Found)
    assert 500 < found.python + found.c <= CALLS_MAX, found.functions[:20]
