"""The system's limit on open files is raised for the connections that are set, or the start says that it is too low."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from gateway.edge.open_files import CONNECTIONS_MIN, needed
from tests.service import ROOT

#: What a start does about open files, and what is allowed then.
START = """
import resource, sys
from gateway.edge.open_files import check
from shared.logs import open_log
from shared.settings import Settings
check(int(sys.argv[1]), open_log(Settings(), "launcher"))
print("soft", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def started(soft: int, hard: int, most: int) -> subprocess.CompletedProcess[str]:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    return subprocess.run(
        [sys.executable, "-c", START, str(most)], preexec_fn=limited, cwd=ROOT, text=True, capture_output=True, check=False
    )  # fmt: skip


def test_the_limit_is_raised_to_what_the_connections_take_and_nothing_is_said() -> None:
    ran = started(256, 4096, 2000)
    assert ran.stdout == f"soft {needed(2000)}\n"
    assert "open files" not in ran.stderr


def test_a_limit_that_is_higher_stays() -> None:
    assert started(4096, 4096, 100).stdout == "soft 4096\n"


def test_a_hard_limit_that_is_too_low_is_told_with_what_fits_and_what_mends_it() -> None:
    ran = started(256, 1024, 8192)
    assert ran.stdout == "soft 1024\n"
    assert "fewer connections than set" in ran.stderr
    for words in ("FACE_API_MAX_CONNECTIONS=8192", f"{1024 - needed(0)} connections", f"LimitNOFILE={needed(8192)}"):
        assert words in ran.stderr


@pytest.mark.parametrize("most", [CONNECTIONS_MIN - 1, 8192])
def test_one_under_which_nothing_can_be_served_stops_the_start(most: int) -> None:
    ran = started(200, 200, most)
    assert ran.returncode != 0
    assert ran.stdout == ""
    assert "raise its hard limit" in ran.stderr
