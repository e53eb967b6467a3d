"""A lone picture on several cores: the same faces, by networks of their own, each thread on its own cores."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from shared.messages import Request
from shared.settings import Settings
from tests.stub_detector import StubDetector
from tests.unit.models.material import SIDE, prepared, prepared_with_closer, settings_for
from tests.unit.worker.test_pipeline import brightness_of, job, sheet
from worker.cores import kept_to, shares, usable_in_order
from worker.detector import Networks, OnnxDetector
from worker.opening import open_lone
from worker.pipeline import Pipeline

ALLOWED = usable_in_order()
with_several_cores = pytest.mark.skipif(len(ALLOWED) < 2, reason="one core")


def lone(asked: tuple[Request, list[np.ndarray]]) -> tuple[Request, list[np.ndarray]]:
    return structs.replace(asked[0], lone=True), asked[1]


def test_lone_pictures_and_their_sheets_are_seen_by_networks_of_their_own() -> None:
    network, closer, alone, closer_alone = (StubDetector() for _ in range(4))
    pipeline = Pipeline(network, 4, lambda _: None, closer=closer, lone=Networks(alone, closer_alone))
    found = pipeline.run([job(1, 50), lone(job(2, 100)), sheet(3, 150), lone(sheet(4, 200))])
    assert [brightness_of(one) for one in found] == [50, 100, 150, 200]
    assert [one.batches for one in (network, closer, alone, closer_alone)] == [[1], [1], [1], [1]]


def test_where_there_are_no_such_networks_lone_pictures_are_seen_as_others_are() -> None:
    network = StubDetector()
    found = Pipeline(network, 4, lambda _: None).run([job(1, 50), lone(job(2, 100)), lone(sheet(3, 150))])
    assert [brightness_of(one) for one in found] == [50, 100, 150]
    assert network.batches == [3]


def test_a_worker_is_sick_when_its_networks_for_lone_pictures_are() -> None:
    def fail_on_black(images: np.ndarray) -> None:
        if not images.any():
            raise RuntimeError("out of luck")

    pipeline = Pipeline(StubDetector(), 1, lambda _: None, lone=Networks(StubDetector(fail_on_black)))
    pipeline.run([job(1, 50)])
    assert pipeline.healthy()
    pipeline.run([lone(job(2, 50))])
    assert not pipeline.healthy()


@with_several_cores
def test_several_threads_answer_to_the_bit_what_one_does(tmp_path: Path) -> None:
    model = prepared(tmp_path)
    images = np.random.default_rng(1).integers(0, 255, (1, SIDE, SIDE, 3), np.uint8)
    one, two = OnnxDetector(model.path, 1).run(images), OnnxDetector(model.path, 2, apart=True).run(images)
    for name in ("scores", "distances", "offsets"):
        for a, b in zip(getattr(one, name), getattr(two, name), strict=True):
            np.testing.assert_array_equal(a, b)
    assert sorted(os.sched_getaffinity(0)) == sorted(ALLOWED), "the caller's thread may run where it might before"


def test_a_cpu_opens_its_closer_network_for_lone_pictures_too_and_a_card_opens_none(tmp_path: Path) -> None:
    (tmp_path / "closer").mkdir()
    plain, closer = prepared(tmp_path), prepared_with_closer(tmp_path / "closer")
    settings = settings_for(tmp_path)
    opened = open_lone("cpu", closer, settings, 2)
    assert opened is not None
    assert opened.closer is not None
    opened = open_lone("cpu", plain, settings, 2)
    assert opened is not None
    assert opened.closer is None
    assert open_lone("cuda:0", plain, Settings(), 2) is None


@pytest.mark.parametrize(
    ("cores", "threads", "parts"),
    [
        ([0, 1], 2, [[0], [1]]),
        ([4, 5, 6, 7], 2, [[4, 5], [6, 7]]),
        ([0, 1, 2, 3, 4], 2, [[0, 1], [2, 3, 4]]),
        ([0, 1, 2], 3, [[0], [1], [2]]),
        ([0], 2, []),
        ([], 2, []),
    ],
)
def test_threads_share_the_cores_and_more_threads_than_cores_share_nothing(
    cores: list[int], threads: int, parts: list[list[int]]
) -> None:
    assert shares(cores, threads) == parts


@with_several_cores
def test_a_thread_keeps_to_its_cores_for_a_while_and_cores_that_are_gone_end_nothing() -> None:
    with kept_to(ALLOWED[:1], ALLOWED):
        assert os.sched_getaffinity(0) == set(ALLOWED[:1])
    with kept_to([len(os.sched_getaffinity(0)) + 4000], ALLOWED):
        assert os.sched_getaffinity(0) == set(ALLOWED)
    assert os.sched_getaffinity(0) == set(ALLOWED)
