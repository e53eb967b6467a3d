"""A network on a device whose queues run as late and in any order as the events between them allow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.worker_gpu.lazy_device import Choose, LazyDevice, SayingSession
from worker.bound_network import BoundNetwork
from worker.device import Queue
from worker.scrfd import AnyHeads

#: A side of which not every candidate comes back.
SIDE, BUCKETS = 160, (1, 2)
#: A threshold that more candidates reach than come back, and one that none does.
ALL, NONE = 0.5, 1000.0


def network_on(device: LazyDevice, *, reduced: bool) -> BoundNetwork:
    session = SayingSession(device)
    return BoundNetwork(session, device, SIDE, BUCKETS, dict, landmarks=True, reduced=reduced, graph_ids=None)


def said(heads: AnyHeads, row: int) -> set[float]:
    """Every score and distance of one picture's answer."""
    return {float(value) for level in (*heads.scores, *heads.distances) for value in np.unique(level[row])}


class Rounds:
    """Batches in two slots, each answered before its slot is used again; every picture has a number of its own."""

    def __init__(self, network: BoundNetwork) -> None:
        self.network = network
        self.flying: dict[int, list[int]] = {}
        self.numbers = itertools.cycle(range(1, 250))

    def submit(self, slot: int, count: int) -> None:
        shown = [next(self.numbers) for _ in range(count)]
        self.network.rooms[slot][:count] = np.array(shown, np.uint8)[:, None, None, None]
        self.network.submit(slot, count)
        self.flying[slot] = shown

    def collect(self, slot: int, threshold: float) -> list[tuple[set[float], int]]:
        """What was answered, and what was shown."""
        shown = self.flying.pop(slot)
        found = self.network.collect(slot, [threshold] * len(shown))
        return [(said(heads, row), number) for (heads, row), number in zip(found, shown, strict=True)]


def wrong(device: LazyDevice, *, reduced: bool) -> bool:
    """Whether any answer of a few overlapping batches is not its own picture's."""
    rounds = Rounds(network_on(device, reduced=reduced))
    answers = []
    for turn in range(4):
        rounds.submit(turn % 2, 2)
        if turn:
            answers += rounds.collect((turn - 1) % 2, ALL if turn == 2 else NONE)
    return any(found != {float(shown)} for found, shown in answers)


def by_preference(order: Sequence[Queue]) -> Choose:
    return lambda able: min(able, key=order.index)


ORDERS = list(itertools.permutations(Queue))


@given(data=st.data(), reduced=st.booleans())
def test_every_picture_gets_its_own_answer_in_whatever_order_the_queues_run(data: st.DataObject, reduced: bool) -> None:
    device = LazyDevice(lambda able: data.draw(st.sampled_from(able)) if len(able) > 1 else able[0])
    rounds = Rounds(network_on(device, reduced=reduced))
    for _ in range(data.draw(st.integers(1, 6))):
        slot = data.draw(st.integers(0, 1))
        if slot in rounds.flying:
            for found, shown in rounds.collect(slot, data.draw(st.sampled_from((ALL, NONE)))):
                assert found == {float(shown)}
        else:
            rounds.submit(slot, data.draw(st.integers(1, 2)))
        while not device.idle() and data.draw(st.booleans()):
            device.step()


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_no_queue_that_runs_ahead_of_the_others_reads_what_is_not_there_yet(
    order: Sequence[Queue], reduced: bool
) -> None:
    assert not wrong(LazyDevice(by_preference(order)), reduced=reduced)


@pytest.mark.parametrize("deaf", [Queue.COMPUTE, Queue.DOWNLOAD])
def test_a_missing_hold_shows(deaf: Queue) -> None:
    assert any(wrong(LazyDevice(by_preference(order), [deaf]), reduced=True) for order in ORDERS)
