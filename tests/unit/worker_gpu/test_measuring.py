"""The GPU measurement as far as it goes without a card: right shapes, every cell filled, a refusal in words."""

from __future__ import annotations

from pathlib import Path

import msgspec
import onnx
import onnxruntime
import pytest

from loadtest import gpu
from loadtest.gpu_cells import WAYS
from loadtest.networks import SHAPES, multiply_adds, random_export
from shared.exit_codes import CONFIGURATION, OK
from tests.service import SHARED
from worker.gpu_options import CUDA


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_networks_cost_what_the_published_ones_cost(name: str) -> None:
    shape = SHAPES[name]
    assert multiply_adds(random_export(shape, 640)) / 1e9 == pytest.approx(shape.gmac, abs=0.001)


def test_the_2_5g_shape_has_the_convolutions_of_the_official_export() -> None:
    """Only where it lies beside the repository."""
    for path in (SHARED / "models").glob("scrfd_2.5g*.onnx"):
        assert convolutions(onnx.load(path)) == convolutions(random_export(SHAPES["2.5g"], 640))


def convolutions(model: onnx.ModelProto) -> list[tuple[int, ...]]:
    """Weights' shapes and strides, sorted."""
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    strides = [
        (weights[node.input[1]], next(tuple(item.ints) for item in node.attribute if item.name == "strides"))
        for node in model.graph.node
        if node.op_type == "Conv"
    ]
    return sorted((*shape, *stride) for shape, stride in strides)


def test_the_script_fills_every_cell_and_writes_table_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--provider", "cpu", "--side", "64", "--batches", "1", "2", "--networks", "2.5g", "--ways", "default"]
    assert gpu.main([*quick, "--seconds", "0.001", "--rounds", "1", "--out", str(tmp_path)]) == OK
    written = msgspec.json.decode((tmp_path / "gpu.json").read_bytes())
    assert [cell["batch"] for cell in written["cells"]] == [1, 2]
    for cell in written["cells"]:
        for rate in ("model_only", "heads", "heads_one_slot", "faces"):
            assert min(cell[rate]) > 0
    assert written["machine"]["onnxruntime"] == onnxruntime.__version__
    assert capsys.readouterr().out.count("| 2.5g | default") == 2


def test_without_a_card_it_refuses_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this build has the CUDA provider; tests/gpu looks at it")
    assert gpu.main(["--out", str(tmp_path)]) == CONFIGURATION
    assert "make clean install ACCEL=gpu" in capsys.readouterr().err


def test_every_way_is_measured_unless_some_are_named() -> None:
    assert gpu.chosen_ways("cuda", None) == list(WAYS)
    assert [way.heads for way in gpu.chosen_ways("cuda", ["raw"])] == ["raw"]
    assert {way.search for way in WAYS} == {"heuristic", "exhaustive", "default"}


def test_the_table_says_what_it_was_measured_on_and_what_was_not() -> None:
    text = gpu.report({"card": "NVIDIA H100", "driver": "580.65.06"}, [], ["10g, fp32: out of memory"])
    assert "card NVIDIA H100, driver 580.65.06" in text
    assert "Not measured: 10g, fp32: out of memory" in text
