"""Half precision: convolutions only, near fp32 or not served, and for GPUs only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, numpy_helper

from models.ensure import ensure
from models.preparing.half_precision import PIXEL_TOLERANCE, SCORE_TOLERANCE, SEEN, Drift, drift_of, wants_half
from models.proving.proof import ServingNetwork, proof_pictures
from models.rewriting.fp16 import rounded_as_half, to_half
from models.served.facts import ServingModel, read_sidecar
from shared.canary import canary_picture
from shared.errors import ConfigurationError
from tests.networks import Form, random_network
from tests.unit.models.material import SIDE, official_models, settings_for
from tests.unit.shared.test_gpus import TWO_CARDS, driver_that_says


def served(path: Path, folder: Path, said: list[str] | None = None, **settings: object) -> ServingModel:
    return ensure(settings_for(folder, str(path), **settings), (said if said is not None else []).append)


@pytest.fixture
def full(tmp_path: Path) -> ModelProto:
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE), resize="computed")
    return onnx.load(served(path, tmp_path, precision="fp32").path)


@pytest.fixture
def a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver_that_says(TWO_CARDS, tmp_path, monkeypatch)


def test_convolutions_become_half_and_input_and_outputs_stay(full: ModelProto) -> None:
    half = to_half(full)
    onnx.checker.check_model(half, full_check=True)
    assert half.graph.input == full.graph.input
    assert half.graph.output == full.graph.output
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    convolutions = [node for node in half.graph.node if node.op_type == "Conv"]
    assert convolutions
    assert {kinds[name] for node in convolutions for name in node.input[1:]} == {TensorProto.FLOAT16}
    resizes = [node for node in half.graph.node if node.op_type == "Resize"]
    assert {kinds[node.input[2]] for node in resizes} == {TensorProto.FLOAT}


def test_the_original_is_left_as_it_was(full: ModelProto) -> None:
    before = full.SerializeToString()
    to_half(full)
    assert full.SerializeToString() == before


def test_the_factor_of_the_first_weights_is_taken_out_again_so_that_none_is_denormal(full: ModelProto) -> None:
    half = to_half(full)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in half.graph.initializer}
    first = next(node for node in half.graph.node if node.op_type == "Conv")
    original = {tensor.name: numpy_helper.to_array(tensor) for tensor in full.graph.initializer}
    before = original[next(node for node in full.graph.node if node.op_type == "Conv").input[1]]
    np.testing.assert_array_equal(weights[first.input[1]], (before * 128).astype(np.float16))


def test_answers_stay_near_in_batches_too(full: ModelProto) -> None:
    pictures = np.stack(proof_pictures(canary_picture(), SIDE, SIDE))
    right = ServingNetwork(full.SerializeToString()).run(pictures)
    found = ServingNetwork(to_half(full).SerializeToString()).run(pictures)
    assert [output.dtype for output in found] == [np.float32] * 9
    assert drift_of(found, right).small


def casts_to_half(model: ModelProto) -> int:
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    return sum(attribute.i == TensorProto.FLOAT16 for node in casts for attribute in node.attribute)


def as_the_cpu_runs_it(model: ModelProto, folder: Path) -> ModelProto:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimised.onnx")


def test_the_proof_runs_a_network_that_rounds_after_every_operator_since_a_cpu_does_not(
    full: ModelProto, tmp_path: Path
) -> None:
    half, rounded = to_half(full), rounded_as_half(full)
    onnx.checker.check_model(rounded, full_check=True)
    convolutions = sum(node.op_type == "Conv" for node in full.graph.node)
    assert casts_to_half(as_the_cpu_runs_it(half, tmp_path)) == 0, "halves are only weights to it"
    assert casts_to_half(as_the_cpu_runs_it(rounded, tmp_path)) > convolutions
    pictures = np.stack(proof_pictures(canary_picture(), SIDE, SIDE))
    exact, halved, right = (ServingNetwork(one.SerializeToString()).run(pictures) for one in (full, half, rounded))
    assert drift_of(right, exact).score > 0
    assert drift_of(right, halved).score > 0


def test_a_weight_beyond_the_range_of_halves_is_refused(full: ModelProto) -> None:
    conv = next(node for node in full.graph.node if node.op_type == "Conv")
    bias = next(tensor for tensor in full.graph.initializer if tensor.name == conv.input[2])
    bias.CopyFrom(numpy_helper.from_array(np.full(bias.dims, 65536, np.float32), bias.name))
    with pytest.raises(ConfigurationError, match="beyond half precision"):
        to_half(full)


def heads_with(score: float, box: float) -> list[np.ndarray]:
    """Outputs of two anchors per stride; the first scores and lies as said, the second is noise."""
    scores = [np.array([[[score], [SEEN / 2]]], np.float32) for _ in range(3)]
    return [*scores, *(np.full((1, 2, 4), box / stride, np.float32) for stride in (8, 16, 32))]


def test_drift_is_measured_in_scores_and_in_pixels_of_what_can_be_seen() -> None:
    drift = drift_of(heads_with(0.501, 100.25), heads_with(0.5, 100))
    assert drift.score == pytest.approx(0.001, abs=1e-6)
    assert drift.pixels == pytest.approx(0.25, abs=1e-4)
    assert drift_of(heads_with(SEEN / 2, 200), heads_with(SEEN / 2, 100)).pixels == 0


@pytest.mark.parametrize(
    ("score", "pixels", "small"),
    [
        (SCORE_TOLERANCE, PIXEL_TOLERANCE, True),
        (SCORE_TOLERANCE * 1.01, 0, False),
        (0, PIXEL_TOLERANCE * 1.01, False),
        (float("nan"), 0, False),
        (0, float("nan"), False),
    ],
)
def test_drift_is_small_up_to_its_limits(score: float, pixels: float, small: bool) -> None:
    assert Drift(score, pixels).small is small


def test_a_nan_anywhere_is_a_drift() -> None:
    assert not drift_of(heads_with(float("nan"), 100), heads_with(0.5, 100)).small


def test_who_gets_half_precision() -> None:
    assert [wants_half("auto", 1), wants_half("fp16", 1)] == [True, True]
    assert [wants_half("auto", 0), wants_half("fp32", 1), wants_half("int8", 1)] == [False, False, False]
    with pytest.raises(ConfigurationError, match="needs a GPU"):
        wants_half("fp16", 0)


@pytest.mark.usefixtures("a_gpu")
def test_with_a_gpu_auto_serves_half_precision_with_its_proof_and_takes_it_from_the_cache(tmp_path: Path) -> None:
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    said: list[str] = []
    model = served(path, tmp_path, said, precision="auto")
    assert model.info.precision == "fp16"
    assert model.canary.score_tolerance == 0.03
    assert read_sidecar(model.path).proof["half_score_drift"] <= SCORE_TOLERANCE
    assert any("proven near fp32" in line for line in said)
    again: list[str] = []
    assert served(path, tmp_path, again, precision="auto") == model
    assert model.full is not None
    assert model.full.info.precision == "fp32"
    assert served(path, tmp_path, again, precision="fp16").full is None
    assert not any("preparing" in line for line in again)


@pytest.mark.usefixtures("a_gpu")
def test_what_strays_too_far_is_served_in_fp32_and_said_or_refused_where_halves_were_asked_for(tmp_path: Path) -> None:
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.dims == [3, 3] or len(tensor.dims) == 4:
            values = numpy_helper.to_array(tensor) * np.float32(40)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, path)
    said: list[str] = []
    assert served(path, tmp_path, said, precision="auto").info.precision == "fp32"
    assert any("served in fp32" in line and "strays" in line for line in said)
    with pytest.raises(ConfigurationError, match="strays"):
        served(path, tmp_path, precision="fp16")


def test_the_cpu_is_served_as_before_and_halves_are_refused_in_words(tmp_path: Path) -> None:
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    assert served(path, tmp_path, precision="auto", accelerator="cpu").info.precision != "fp16"
    with pytest.raises(ConfigurationError, match="FACE_API_PRECISION=fp16"):
        served(path, tmp_path, precision="fp16", accelerator="cpu")


@pytest.mark.usefixtures("a_gpu")
def test_the_official_2_5g_passes_its_proof(tmp_path: Path) -> None:
    """Only where it lies beside the repository."""
    for path in official_models():
        if "2.5g" in path.name:
            assert served(path, tmp_path, precision="auto", input_side=320).info.precision == "fp16"
