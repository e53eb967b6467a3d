"""A network that fails before it serves: for good, for now, or by a bug of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.served.anchors import Size
from models.served.facts import CLOSER_NAME, NETWORK_NAME, ServingModel
from shared import exit_codes
from shared.cells import OWN_SHEETS
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.unit.models.material import prepared, prepared_with_closer
from tests.unit.worker.test_pool import WAIT_S_MAX, Logged, libraries_log_as_before, pool_without_a_model
from tests.unit.worker_gpu.material import WIDE
from worker import opening
from worker.cannot_run import NotNow, reason
from worker.detector import OnnxDetector
from worker.opening import open_closer, open_detector, sides_of

__all__ = ["libraries_log_as_before"]


def no_network(path: Path) -> None:
    path.write_bytes(b"no network")


def fails_when_run(path: Path) -> None:
    """Opens, but a first reshape fits no input."""
    model = onnx.load(path)
    shape = numpy_helper.from_array(np.array([7, 7], np.int64), "no/shape")
    model.graph.initializer.append(shape)
    name = model.graph.input[0].name
    model.graph.node.insert(0, helper.make_node("Reshape", [name, "no/shape"], ["no/reshaped"]))
    model.graph.node.insert(1, helper.make_node("Cast", ["no/reshaped"], ["no/cast"], to=TensorProto.FLOAT))
    model.graph.node.insert(2, helper.make_node("ReduceSum", ["no/cast"], ["no/sum"], keepdims=0))
    output = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["no/output" if one == output else one for one in node.output]
    model.graph.node.append(helper.make_node("Add", ["no/output", "no/sum"], [output]))
    onnx.save(model, path)


def unknown_operator(path: Path) -> None:
    model = onnx.load(path)
    next(node for node in model.graph.node if node.op_type == "Conv").op_type = "Convolve"
    onnx.save(model, path)


def spoilt(folder: Path, spoil: Callable[[Path], None]) -> ServingModel:
    model = prepared(folder)
    spoil(model.path)
    return model


@pytest.mark.parametrize("spoil", [no_network, fails_when_run, unknown_operator])
def test_a_network_that_cannot_run_here_is_told_with_what_to_do(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be run on cpu: .*FACE_API_MODEL"):
        open_detector("cpu", spoilt(tmp_path, spoil), Settings(input_side=WIDE), 1, 1, lambda _: None)


def test_a_closer_network_is_opened_on_a_cpu_and_warm_for_every_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warmed: list[tuple[int, Size]] = []
    monkeypatch.setattr(opening, "warm_up", lambda _, shapes: warmed.extend(shapes))
    model = prepared_with_closer(tmp_path)
    assert isinstance(open_closer("cpu", model, Settings(), 1, 2), OnnxDetector)
    sheets = [(96, 96), (96, 160), (160, 160), (160, 256), (256, 256), (256, 320), (320, 320)]
    assert sorted(warmed) == [(batch, sheet) for batch in (1, 2) for sheet in sheets]
    assert open_closer("cuda:0", model, Settings(), 1, 2) is None
    assert OWN_SHEETS.side_max not in sides_of("cpu", Settings(), model)
    assert OWN_SHEETS.side_max in sides_of("cuda:0", Settings(), model)
    assert open_closer("cpu", prepared(tmp_path), Settings(), 1, 2) is None


@pytest.mark.parametrize("spoil", [no_network, fails_when_run, unknown_operator])
def test_a_closer_network_that_cannot_run_here_is_told_too(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    model = prepared_with_closer(tmp_path)
    assert model.closer is not None
    spoil(model.closer)
    with pytest.raises(ConfigurationError, match=r"closer\.onnx cannot be run on cpu: .*FACE_API_MODEL"):
        open_closer("cpu", model, Settings(), 1, 1)


@pytest.mark.parametrize("which", [NETWORK_NAME, CLOSER_NAME])
def test_a_pool_whose_network_cannot_run_ends_instead_of_trying_for_ever(tmp_path: Path, which: str) -> None:
    logged = Logged()
    pool = pool_without_a_model(tmp_path, logged)
    pool.model = prepared_with_closer(tmp_path)
    fails_when_run(pool.model.path.with_name(which))
    assert asyncio.run(asyncio.wait_for(pool.run(), WAIT_S_MAX)) == exit_codes.CONFIGURATION
    assert f"{which} cannot be run on cpu" in logged.events[-1]["why"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("cudaMalloc: out of memory (CUDA error 2)"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("Failed to allocate memory for requested buffer of size 9"),
        RuntimeError("CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR"),
    ],
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    told = reason(error, Path("a.onnx"), "cuda:0")
    assert isinstance(told, NotNow)
    assert "a.onnx" in str(told)


def test_what_no_runtime_raised_is_a_bug_and_stays_what_it_is() -> None:
    assert reason(TypeError("ours"), Path("a.onnx"), "cpu") is None
    assert reason(AssertionError(), Path("a.onnx"), "cpu") is None
