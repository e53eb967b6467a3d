"""The guard's look at who connects."""

from __future__ import annotations

import os
from pathlib import Path

from worker.guard import _peer_of


def test_a_connection_whose_number_is_a_file_by_now_has_no_address_and_leaves_nothing_open(tmp_path: Path) -> None:
    with (tmp_path / "another file").open("w") as file:
        before = os.listdir("/proc/self/fd")  # noqa: PTH208 — names are all there is
        assert _peer_of(file.fileno()) == ""
        assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
