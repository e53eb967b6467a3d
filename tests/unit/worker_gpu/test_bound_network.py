"""The GPU's path with the CPU in the card's place: the same faces, in order, and nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models.served.facts import ServingModel
from models.served.reduced_outputs import KEPT
from shared import exit_codes
from shared.errors import ConfigurationError
from tests.unit.models.material import SIDE, prepared
from tests.unit.worker_gpu.material import WIDE, WritingDevice, WritingSession, on_host, pictures
from worker import detector_gpu
from worker.bound_network import DEPTH, RUNS, BoundNetwork
from worker.detector import OnnxDetector
from worker.gpu_check import check_against
from worker.reduced_heads import ReducedHeads
from worker.retreat import Retreat
from worker.scrfd import AnyHeads, Heads, candidates


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServingModel:
    return prepared(tmp_path_factory.mktemp("model"))


def faces(heads: AnyHeads, row: int, confidence: float) -> np.ndarray:
    return candidates(heads, row, 1.0, confidence).packed()


def threshold_with(heads: Heads, row: int, count: int) -> float:
    """The score of the count-th best anchor of stride 8: so many score it or more."""
    return float(-np.sort(-heads.scores[0][row, :, 0])[count - 1])


@pytest.mark.parametrize("kind", ["reduced", "raw"])
def test_every_row_of_every_batch_size_is_answered_as_alone(model: ServingModel, kind: str) -> None:
    detector, truth = on_host(model, (WIDE, SIDE), 5, gpu_heads=kind), OnnxDetector(model.path, 1)
    for side in (WIDE, SIDE):
        shown = pictures(5, side)
        expected = [truth.run(picture[None]) for picture in shown]
        limit = max(threshold_with(heads, 0, 40) for heads in expected)
        for room in range(DEPTH):
            for count in (5, 1, 4, 2, 3):
                detector.rooms(side, 5)[room][:count] = shown[:count]
                detector.submit(side, room, count)
                found = detector.collect(side, room, [limit] * count)
                for (heads, row), right in zip(found, expected[:count], strict=True):
                    assert isinstance(heads, ReducedHeads if kind == "reduced" else Heads)
                    np.testing.assert_allclose(faces(heads, row, limit), faces(right, 0, limit), atol=1e-4)


def test_a_crowd_is_answered_from_the_raw_heads_and_loses_nobody(model: ServingModel) -> None:
    detector, truth = on_host(model), OnnxDetector(model.path, 1)
    shown = pictures(2)
    right = truth.run(shown)
    for count, kind in ((KEPT[8] - 1, ReducedHeads), (KEPT[8], Heads), (KEPT[8] + 1, Heads), (2000, Heads)):
        limit = threshold_with(right, 1, count)
        detector.rooms(WIDE, 3)[0][:2] = shown
        detector.submit(WIDE, 0, 2)
        (_, (heads, row)) = detector.collect(WIDE, 0, [0.999, limit - 1e-6])
        crowd = faces(heads, row, limit - 1e-6)
        assert type(heads) is kind, count
        assert len(crowd) >= count
        np.testing.assert_allclose(crowd, faces(right, 1, limit - 1e-6), atol=1e-4)


def test_each_picture_overflows_by_its_own_threshold(model: ServingModel) -> None:
    detector = on_host(model)
    detector.rooms(WIDE, 3)[1][:3] = pictures(3)
    detector.submit(WIDE, 1, 3)
    found = detector.collect(WIDE, 1, [0.999, 0.0, 0.999])
    assert [type(heads) for heads, _ in found] == [ReducedHeads, Heads, ReducedHeads]
    assert [row for _, row in found] == [0, 0, 2]


def test_what_pads_a_bucket_changes_nothing(model: ServingModel) -> None:
    detector, shown = on_host(model, max_batch=8), pictures(5)
    room = detector.rooms(WIDE, 8)[0]
    answers = []
    for rest in (0, 255):
        room[:5], room[5:] = shown, rest
        detector.submit(WIDE, 0, 5)
        answers.append([faces(heads, row, 0.5) for heads, row in detector.collect(WIDE, 0, [0.5] * 5)])
    for one, other in zip(*answers, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_answer_stays_when_its_slot_is_used_again(model: ServingModel) -> None:
    detector = on_host(model)
    room = detector.rooms(WIDE, 3)[0]
    room[:1] = pictures(1)
    detector.submit(WIDE, 0, 1)
    ((heads, row),) = detector.collect(WIDE, 0, [0.9])
    before = faces(heads, row, 0.5).copy()
    room[:1] = 0
    detector.submit(WIDE, 0, 1)
    detector.collect(WIDE, 0, [0.9])
    np.testing.assert_array_equal(faces(heads, row, 0.5), before)


def test_a_slot_takes_one_batch_at_a_time(model: ServingModel) -> None:
    detector = on_host(model)
    detector.submit(WIDE, 0, 1)
    with pytest.raises(AssertionError, match="one batch at a time"):
        detector.submit(WIDE, 0, 1)
    detector.collect(WIDE, 0, [0.5])
    detector.submit(WIDE, 0, 1)


def test_a_batch_over_the_largest_bucket_is_a_mistake_of_ours(model: ServingModel) -> None:
    with pytest.raises(AssertionError):
        on_host(model).submit(WIDE, 0, 4)


def test_scores_that_are_not_finite_are_an_error_never_no_face(tmp_path: Path) -> None:
    model = prepared(tmp_path)
    network = onnx.load(model.path)
    for tensor in network.graph.initializer:
        if len(tensor.dims) == 4:
            values = numpy_helper.to_array(tensor) * np.float32(np.nan)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(network, model.path)
    detector = on_host(model)
    detector.submit(WIDE, 0, 1)
    with pytest.raises(FloatingPointError, match="not finite"):
        detector.collect(WIDE, 0, [0.5])
    detector.submit(WIDE, 0, 1)  # the slot is free again


# Order


def written(model: ServingModel, **settings: object) -> tuple[BoundNetwork, WritingDevice]:
    """A network on a device that writes down everything it is asked, its runs among it."""
    device = WritingDevice()
    network = on_host(model, device=device, **settings).networks[WIDE]
    for slot in network._slots:
        slot.runs = {
            bucket: (lambda run=run: (device.written.append("run"), run())[1]) for bucket, run in slot.runs.items()
        }
    return network, device


def test_each_step_waits_for_what_it_needs_and_the_host_for_nothing(model: ServingModel) -> None:
    network, device = written(model)
    network.submit(0, 2)
    uploaded, computed, ready = 1, 2, 3
    assert device.written == [
        "upload 2",
        f"upload records {uploaded}",
        f"compute waits for {uploaded}",
        "run",
        f"compute records {computed}",
        f"download waits for {computed}",
        "download",
        f"download records {ready}",
    ]
    network.collect(0, [0.999, 0.999])
    assert device.written[8:] == [f"host waits for {ready}"]


def test_the_next_batch_is_uploaded_and_queued_before_the_host_waits_for_the_first(model: ServingModel) -> None:
    network, device = written(model)
    network.submit(0, 3)
    network.submit(1, 1)
    network.collect(0, [0.999] * 3)
    network.submit(0, 2)
    network.collect(1, [0.999])
    steps = [step for step in device.written if step.startswith(("upload ", "run", "host")) and "records" not in step]
    assert steps == ["upload 3", "run", "upload 1", "run", "host waits for 3", "upload 2", "run", "host waits for 6"]


def test_a_crowd_costs_one_more_download_and_no_run(model: ServingModel) -> None:
    network, device = written(model)
    network.submit(0, 1)
    network.collect(0, [0.0])
    assert device.written.count("run") == 1
    assert device.written.count("download") == 1 + 9


def runs_written(monkeypatch: pytest.MonkeyPatch, fails: Callable[[list[str]], bool] = lambda _: False) -> list[str]:
    """Where every run of sessions opened from now on is written. fails: whether the one just written does."""
    ran: list[str] = []
    open_session = detector_gpu._session
    monkeypatch.setattr(detector_gpu, "_session", lambda *given: WritingSession(open_session(*given), ran, fails))
    return ran


def test_every_bucket_of_every_slot_has_a_graph_of_its_own_and_none_when_they_are_off(
    model: ServingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = runs_written(monkeypatch)
    detector = on_host(model, (WIDE, SIDE), 2)
    detector.warm_up(lambda _: None)
    graphs = [int(line.removeprefix("run, graph ")) for line in ran if line != "run, graph -1"]
    assert len(set(graphs)) == 2 * 2 * DEPTH
    assert all(graphs.count(graph) == RUNS and graph > 0 for graph in graphs)
    ran.clear()
    detector.submit(WIDE, 0, 2)
    assert ran in [[f"run, graph {graph}"] for graph in graphs]
    ran.clear()
    on_host(model, cuda_graphs=False).warm_up(lambda _: None)
    assert set(ran) == {"run, graph -1"}


def test_each_bucket_ran_twice_in_both_slots_before_it_is_recorded(
    model: ServingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card may take memory in the first run and in the second; in a recording it must not."""
    ran = runs_written(monkeypatch)
    on_host(model, max_batch=1).warm_up(lambda _: None)
    plain = ["run, graph -1"] * (RUNS * DEPTH)
    assert ran == [*plain, *["run, graph 1"] * RUNS, *["run, graph 2"] * RUNS]


@pytest.mark.parametrize("at", [1, 2])
def test_a_recording_that_fails_is_given_up_with_words_whenever_it_fails(
    model: ServingModel, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """at: 1 as it is recorded, 2 as it is replayed."""
    runs_written(monkeypatch, fails=lambda ran: (ran[-1], ran.count("run, graph 2")) == ("run, graph 2", at))
    with pytest.raises(Retreat, match="recording a CUDA graph of 2 at 256 failed: operation not permitted") as caught:
        on_host(model, max_batch=3).warm_up(lambda _: None)
    assert caught.value.code == exit_codes.WITHOUT_GRAPHS


def test_a_run_that_fails_without_a_recording_is_not_the_graphs_doing(
    model: ServingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_written(monkeypatch, fails=lambda ran: ran[-1] == "run, graph -1")
    with pytest.raises(RuntimeError, match="not permitted"):
        on_host(model).warm_up(lambda _: None)


# The check before serving


def test_a_detector_that_answers_as_the_cpu_does_passes_the_check(model: ServingModel) -> None:
    said: list[str] = []
    check_against(OnnxDetector(model.path, 1), on_host(model, (WIDE, SIDE), 2), [WIDE, SIDE], 2, said.append)
    assert "as the CPU does" in said[0]


@pytest.mark.parametrize("kind", ["reduced", "raw"])
def test_rows_that_are_exchanged_fail_the_check(model: ServingModel, kind: str) -> None:
    detector = on_host(model, max_batch=2, gpu_heads=kind)
    collect = detector.collect
    detector.collect = lambda side, room, thresholds: collect(side, room, thresholds)[::-1]  # type: ignore[method-assign]
    with pytest.raises(ConfigurationError, match="FACE_API_CUDA_GRAPHS=false"):
        check_against(OnnxDetector(model.path, 1), detector, [WIDE], 2, lambda _: None)


def test_a_slot_that_answers_from_old_memory_fails_the_check(model: ServingModel) -> None:
    """As a recorded graph would that reads an address which moved."""
    detector = on_host(model, max_batch=2)
    slot = detector.networks[WIDE]._slots[1]
    slot.address = detector.networks[WIDE]._slots[0].address
    with pytest.raises(ConfigurationError, match="answers otherwise"):
        check_against(OnnxDetector(model.path, 1), detector, [WIDE], 2, lambda _: None)
