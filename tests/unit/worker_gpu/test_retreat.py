"""A card that cannot serve as it should serves otherwise, aloud: without recorded graphs, or in full precision."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from msgspec import structs

from models.served.facts import ServingModel
from shared import exit_codes
from shared.errors import ConfigurationError
from shared.logs import open_log
from shared.settings import Settings
from tests.unit.models.material import prepared
from tests.unit.worker.test_pool import Logged, libraries_log_as_before, pool_without_a_model
from tests.unit.worker_gpu.material import WIDE, on_host
from worker import __main__ as worker_main
from worker import detector_gpu
from worker.bound_network import BoundNetwork
from worker.opening import open_detector
from worker.retreat import Retreat, Way, after
from worker.topology import Topology

__all__ = ["libraries_log_as_before"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServingModel:
    return prepared(tmp_path_factory.mktemp("model"))


def in_half(model: ServingModel) -> ServingModel:
    """As far as its sidecar says."""
    return replace(model, info=structs.replace(model.info, precision="fp16"))


def strays(network: BoundNetwork, *, when: Callable[[BoundNetwork], bool]) -> None:
    """Answers every picture's neighbour, where it is said."""
    collect = network.collect
    network.collect = lambda *given: collect(*given)[:: -1 if when(network) else 1]  # type: ignore[method-assign]


def opened_on_a_card(
    monkeypatch: pytest.MonkeyPatch,
    model: ServingModel,
    spoil: Callable[[BoundNetwork], None],
    largest: int = 2,
    **settings: Any,
) -> object:
    """What a worker opens, with the CPU in the card's place and `spoil` done to every network."""

    def open_on_gpu(
        model: ServingModel, _index: int, _settings: Settings, sides: list[int], largest: int, _told: object
    ) -> detector_gpu.GpuDetector:
        detector = on_host(model, tuple(sides), largest, **settings)
        for network in detector.networks.values():
            spoil(network)
        return detector

    monkeypatch.setattr(detector_gpu, "open_on_gpu", open_on_gpu)
    chosen = Settings(input_side=WIDE, mask_second_side=0, **settings)
    return open_detector("cuda:0", model, chosen, 1, largest, lambda _: None)[0]


def test_a_card_that_answers_as_the_cpu_does_serves_as_it_should(
    monkeypatch: pytest.MonkeyPatch, model: ServingModel
) -> None:
    detector = opened_on_a_card(monkeypatch, in_half(model), lambda _: None)
    assert isinstance(detector, detector_gpu.GpuDetector)
    assert detector.graphs


def test_graphs_that_answer_wrongly_are_given_up(monkeypatch: pytest.MonkeyPatch, model: ServingModel) -> None:
    with pytest.raises(Retreat, match="replayed CUDA graphs answer wrongly") as caught:
        opened_on_a_card(monkeypatch, model, lambda network: strays(network, when=lambda one: one.graphs))
    assert caught.value.code == exit_codes.WITHOUT_GRAPHS


def always(network: BoundNetwork) -> None:
    strays(network, when=lambda _: True)


def not_finite(network: BoundNetwork) -> None:
    def collect(*_given: object) -> Any:
        raise FloatingPointError("the network answered scores that are not finite")

    network._try = lambda _bucket: None  # type: ignore[method-assign]
    network.collect = collect  # type: ignore[method-assign]


@pytest.mark.parametrize("spoil", [always, not_finite])
@pytest.mark.parametrize("graphs", [True, False])
def test_half_precision_that_strays_or_overflows_is_given_up_where_nobody_asked_for_it(
    monkeypatch: pytest.MonkeyPatch, model: ServingModel, spoil: Callable[[BoundNetwork], None], graphs: bool
) -> None:
    with pytest.raises(Retreat) as caught:
        opened_on_a_card(monkeypatch, in_half(model), spoil, cuda_graphs=graphs)
    assert caught.value.code == exit_codes.IN_FULL


def wants_too_much(network: BoundNetwork) -> None:
    def run(_slot: object) -> None:
        raise onnxruntime.capi.onnxruntime_pybind11_state.Fail(
            "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. Status Message: "
            "bfc_arena.cc:360 Available memory of 12221952 is smaller than requested bytes of 26214400"
        )

    network._run = run  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("largest", "raised", "words"),
    [(2, Retreat, "batches of 2 want more than FACE_API_GPU_MEMORY_LIMIT_MB"), (1, ConfigurationError, "smaller than")],
)
def test_batches_that_the_limit_leaves_no_room_for_are_given_up_and_a_single_picture_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: ServingModel, largest: int, raised: type[Exception], words: str
) -> None:
    with pytest.raises(raised, match=words) as caught:
        opened_on_a_card(monkeypatch, model, wants_too_much, largest)
    assert getattr(caught.value, "code", exit_codes.SMALLER) == exit_codes.SMALLER


@pytest.mark.parametrize("precision", ["fp16", "fp32", "auto"])
def test_what_was_asked_for_or_is_in_full_already_is_refused_with_words(
    monkeypatch: pytest.MonkeyPatch, model: ServingModel, precision: str
) -> None:
    served = in_half(model) if precision == "fp16" else model
    with pytest.raises(ConfigurationError, match="FACE_API_PRECISION=fp32, or serve without it"):
        opened_on_a_card(monkeypatch, served, always, precision=precision)


def test_the_worker_ends_with_what_must_be_given_up_and_tidies_nothing_up(
    monkeypatch: pytest.MonkeyPatch, model: ServingModel
) -> None:
    class Ended(BaseException):
        """Instead of the end of this process."""

    def end(code: int) -> None:
        raise Ended(code)

    def serve(_options: object, _settings: object, served: ServingModel, _log: object) -> None:
        assert served.info.note == "; ".join(filter(None, (model.info.note, "served in some way")))
        raise Retreat(exit_codes.IN_FULL, "it strays")

    logged = Logged()
    monkeypatch.setattr(worker_main, "open_log", lambda settings, part: open_log(settings, part, logged))
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(worker_main, "_serve", serve)
    for touches_the_process in ("die_with_parent", "forbid_core_files"):
        monkeypatch.setattr(worker_main, touches_the_process, lambda *_: None)
    arguments = ["--slot", "0", "--generation", "g", "--parent", "1", "--threads", "1", "--max-batch", "2"]
    with pytest.raises(Ended) as ended:
        worker_main.main([*arguments, "--model", str(model.path), "--note", "served in some way"])
    assert ended.value.args == (exit_codes.IN_FULL,)
    assert [event["why"] for event in logged.events] == ["it strays"]


# The pool


def test_the_pool_starts_its_next_workers_otherwise_at_once_and_says_so(tmp_path: Path, model: ServingModel) -> None:
    logged = Logged()
    pool = pool_without_a_model(tmp_path, logged)
    pool.model = replace(in_half(model), full=model, reason="the best one found")
    pool.topology = Topology(2, 1, 16, "one card", 1)
    started = pool.way
    assert pool._retreats(exit_codes.WITHOUT_GRAPHS, started, "recording failed")
    assert (pool.settings.cuda_graphs, pool.model.info.precision) == (False, "fp16")
    assert pool._retreats(exit_codes.IN_FULL, started, "it strays")
    assert pool.model == replace(model, reason="the best one found")
    assert not pool.stopping.is_set()
    pool.context.term()
    assert [event["why"] for event in logged.events] == ["recording failed", "it strays"]
    assert all(event["level"] == "warning" for event in logged.events)
    assert pool.way.note == (
        "served without recorded CUDA graphs: they failed here, the log says how; "
        "served in fp32: fp16 failed here, the log says how"
    )


def test_batches_are_halved_once_however_many_workers_of_that_size_find_them_too_large(model: ServingModel) -> None:
    first = Way(Settings(), model, Topology(2, 1, 16, "one card", 1))
    second = after(exit_codes.SMALLER, first, first)
    assert second is not None
    assert second.topology.max_batch == 8
    assert after(exit_codes.SMALLER, first, second) is None
    third = after(exit_codes.SMALLER, second, second)
    assert third is not None
    assert third.note.startswith("served in batches of 4 at most")


@pytest.mark.parametrize(
    "code", [exit_codes.WITHOUT_GRAPHS, exit_codes.IN_FULL, exit_codes.SMALLER, exit_codes.FAILED, None, -6]
)
def test_an_end_that_says_nothing_new_changes_nothing(code: int | None, model: ServingModel) -> None:
    way = Way(Settings(cuda_graphs=False), model, Topology(2, 1, 1, "one card", 1))
    assert after(code, way, way) is None
