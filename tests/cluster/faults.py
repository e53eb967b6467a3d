"""What befalls a host while it works, and what mends it: a row each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from deploy.timings import TimeTable
from tests.cluster.hosts import Host

#: A look (2 s) that is not answered must have been noticed; the host is dead only later.
FROZEN_S = 3.0


class Fault(NamedTuple):
    """struck and mended are called outside the loop of the clients. held: struck once requests are in the host's hands."""

    name: str
    struck: Callable[[Sequence[Host]], None]
    mended: Callable[[Sequence[Host]], None]
    held: bool = True


def _freeze_then_kill(hosts: Sequence[Host]) -> None:
    time.sleep(FROZEN_S)
    hosts[0].kill()


def _start_again(hosts: Sequence[Host]) -> None:
    hosts[0].start()
    hosts[0].until_ready()


def _cut_off(hosts: Sequence[Host]) -> None:
    """Its packets go nowhere and nobody is told; the host itself goes on."""
    hosts[0].cut_off()
    hosts[0].thaw()


def _restart_all(hosts: Sequence[Host]) -> None:
    for host in hosts:
        host.restart()
        time.sleep(TimeTable().settle)


def _restart_all_in_haste(hosts: Sequence[Host]) -> None:
    """The next goes before the balancer has looked at the one that came: for a moment none is taken for well."""
    for host in hosts:
        host.restart()


def _nothing(_hosts: Sequence[Host]) -> None:
    """Nothing is to be done."""


FAULTS = (
    Fault("kill -9 of a host", lambda hosts: hosts[0].kill(), _start_again),
    Fault("cut off without a reset", _cut_off, lambda hosts: hosts[0].connect()),
    Fault("frozen, then killed", _freeze_then_kill, _start_again),
    Fault("frozen, then goes on", lambda _: time.sleep(FROZEN_S), lambda hosts: hosts[0].thaw()),
    Fault("rolling update, host by host", _restart_all, _nothing, held=False),
    Fault("rolling update in haste", _restart_all_in_haste, _nothing, held=False),
)
