"""Networks for the GPU: the best candidates beside everything, the same numbers as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from models.proving.proof import ServingNetwork, proof_pictures
from models.rewriting.gpu_form import gpu_form
from models.rewriting.reduce import with_reduced_heads
from models.served.anchors import anchor_count
from models.served.reduced_outputs import KEPT, kept
from shared.canary import canary_picture
from shared.errors import ConfigurationError
from tests.unit.models.material import SIDE, prepared

LARGE = 256


def answers(data: bytes, pictures: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": pictures}), strict=True))


@pytest.mark.parametrize("landmarks", [True, False])
@pytest.mark.parametrize("side", [SIDE, LARGE])
def test_the_best_candidates_come_with_their_place_box_and_landmarks(
    tmp_path: Path, side: int, landmarks: bool
) -> None:
    model = prepared(tmp_path, landmarks=landmarks)
    pictures = np.stack(proof_pictures(canary_picture(), side, side)[:2])
    found = answers(gpu_form(model.path, side, reduced=True), pictures)
    for stride in KEPT:
        count = min(KEPT[stride], anchor_count((side, side), stride))
        raw, chosen = found[f"score_{stride}"][:, :, 0], found[f"top_index_{stride}"]
        assert chosen.shape == (2, count)
        np.testing.assert_array_equal(found[f"top_score_{stride}"], -np.sort(-raw, axis=1)[:, :count])
        for row in range(2):
            assert len(set(chosen[row].tolist())) == count
            for kind in ("bbox", "kps") if landmarks else ("bbox",):
                expected = found[f"{kind}_{stride}"][row, chosen[row]]
                np.testing.assert_array_equal(found[f"top_{kind}_{stride}"][row], expected)
    assert ("top_kps_8" in found) == landmarks


def test_the_raw_heads_are_as_before(tmp_path: Path) -> None:
    model = prepared(tmp_path)
    pictures = np.stack(proof_pictures(canary_picture(), SIDE, SIDE))
    before = ServingNetwork(model.path).run(pictures)
    after = answers(gpu_form(model.path, SIDE, reduced=True), pictures)
    for number, (old, new) in enumerate(zip(before, after.values(), strict=False)):
        np.testing.assert_allclose(new, old, atol=1e-6, err_msg=str(number))


def test_no_operator_copies_tables_from_the_host(tmp_path: Path) -> None:
    """Concat and Split of unequal parts and GatherND do, which a recorded CUDA graph must not replay."""
    prepared_network = prepared(tmp_path, opset=13)
    assert "Split" in {node.op_type for node in onnx.load(prepared_network.path).graph.node}, "nothing to be seen here"
    data = gpu_form(prepared_network.path, SIDE, reduced=True)
    kinds = {node.op_type for node in onnx.load_model_from_string(data).graph.node}
    assert not kinds & {"Split", "Concat", "GatherND", "Shape", "NonZero", "NonMaxSuppression"}


def test_operators_too_old_are_refused_with_the_way_out(tmp_path: Path) -> None:
    model = onnx.load(prepared(tmp_path).path)
    model.opset_import[0].version = 10
    with pytest.raises(ConfigurationError, match="FACE_API_GPU_HEADS=raw"):
        with_reduced_heads(model, SIDE)


def test_all_candidates_come_back_where_there_are_few() -> None:
    assert [kept(64, stride) for stride in (8, 16, 32)] == [128, 32, 8]
    assert [kept(640, stride) for stride in (8, 16, 32)] == [512, 256, 256]
