"""Any SCRFD export becomes a serving form that answers as the export does, or is refused in words."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models.catalogue.choose import choose_file
from models.ensure import ensure
from models.preparing import place
from models.proving.proof import Difference, ServingNetwork, difference, proof_pictures, prove
from models.proving.reference import Reference
from models.rewriting.surgery import METADATA_FORM, SERVING_FORM
from models.served.anchors import output_names
from models.served.facts import SIDECAR_NAME, load, read_sidecar
from shared.canary import canary_picture
from shared.errors import ConfigurationError
from tests.networks import Form, bake_side, beacon_faces, beacon_network, beacon_picture, forms, random_network
from tests.unit.models.material import SIDE, official_models, settings_for

NOISE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def silent(_line):
    pass


def made(path, folder, **settings):
    return ensure(settings_for(folder, str(path), **settings), silent)


@pytest.mark.parametrize("name", forms())
def test_every_form_of_export_is_served_in_batches_of_any_size_as_it_answers_alone(tmp_path, name):
    form = forms()[name]
    path = random_network(tmp_path / "export.onnx", form, sigmoid="before" if form.rank == 2 else "after")
    serving = made(path, tmp_path)
    assert serving.info.batch_invariant
    assert serving.info.dynamic_size
    assert serving.info.landmarks == form.landmarks
    assert serving.info.note == ""
    assert serving.info.exact_pixels
    pictures = proof_pictures(canary_picture(), SIDE, SIDE)
    truths = [Reference(path).heads(picture) for picture in pictures]
    found = ServingNetwork(serving.path).heads(np.stack(pictures))
    for one, truth in zip(found, truths, strict=True):
        assert difference(one, truth).small


@pytest.mark.parametrize("resize", ["scales", "computed", "baked"])
def test_a_resize_to_any_kind_of_size_is_freed(tmp_path, resize):
    serving = made(random_network(tmp_path / "export.onnx", Form(side=SIDE, opset=12), resize=resize), tmp_path)
    assert serving.info.batch_invariant
    assert serving.info.dynamic_size
    assert {output.shape[1] for output in ServingNetwork(serving.path).run(np.zeros((3, 96, 32, 3), np.uint8))} == {
        96,
        24,
        6,
    }


def test_the_serving_form_has_one_byte_input_and_named_outputs(tmp_path):
    serving = made(random_network(tmp_path / "export.onnx", forms()["names that clash"]), tmp_path)
    graph = onnx.load(serving.path).graph
    assert [(value.name, value.type.tensor_type.elem_type) for value in graph.input] == [("images", TensorProto.UINT8)]
    assert tuple(value.name for value in graph.output) == output_names(landmarks=True)
    assert {node.op_type for node in graph.node}.isdisjoint({"Shape", "Unsqueeze"})


def test_a_network_whose_batch_neighbours_meddle_is_served_one_by_one(tmp_path):
    serving = made(random_network(tmp_path / "export.onnx", Form(side=SIDE), contaminated=True), tmp_path)
    assert not serving.info.batch_invariant
    assert "one picture at a time" in serving.info.note
    assert serving.info.served("CPUExecutionProvider", 16).max_batch == 1


def test_a_network_of_which_two_answers_differ_is_refused(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    model = onnx.load(path)
    noisy = helper.make_node("RandomUniformLike", [model.graph.node[0].output[0]], ["noise"], low=-1.0, high=1.0)
    added = helper.make_node("Add", [model.graph.node[0].output[0], "noise"], ["shaken"])
    for node in list(model.graph.node)[1:]:
        node.input[:] = ["shaken" if name == model.graph.node[0].output[0] else name for name in node.input]
    model.graph.node.insert(1, noisy)
    model.graph.node.insert(2, added)
    onnx.save(model, path)
    with pytest.raises(ConfigurationError, match="does not answer as the original does"):
        made(path, tmp_path)


def test_the_proof_sees_a_swap_of_red_and_blue(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    serving = made(path, tmp_path)
    wrong = onnx.load(serving.path)
    order = next(tensor for tensor in wrong.graph.initializer if tensor.name.endswith("order"))
    order.CopyFrom(onnx.numpy_helper.from_array(np.array([0, 1, 2], np.int64), order.name))
    proof = prove(ServingNetwork(wrong.SerializeToString()), Reference(path), None, canary_picture(), (SIDE, SIDE))
    assert not proof.alone.small


def test_the_proof_sees_rows_that_changed_places(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    wrong = onnx.load(made(path, tmp_path).path)
    flip = onnx.numpy_helper.from_array(np.array([-1], np.int64), "back")
    wrong.graph.initializer.append(flip)
    shape = [onnx.numpy_helper.from_array(np.array([value], np.int64), name) for name, value in (
        ("from", -1), ("to", -(1 << 40)), ("axis", 0))]  # fmt: skip
    wrong.graph.initializer.extend(shape)
    for node in wrong.graph.node:
        node.input[:] = ["turned" if name == "images" else name for name in node.input]
    wrong.graph.node.insert(0, helper.make_node("Slice", ["images", "from", "to", "axis", "back"], ["turned"]))
    proof = prove(ServingNetwork(wrong.SerializeToString()), Reference(path), None, canary_picture(), (SIDE, SIDE))
    assert proof.alone.small
    assert "neighbours" in proof.batched


def test_a_difference_that_is_not_a_number_is_not_small():
    assert not Difference(float("nan"), 0.0).small
    assert not (Difference(0.0, 0.0) | Difference(0.0, float("nan"))).small


def test_a_prepared_beacon_network_finds_what_was_painted(tmp_path):
    serving = made(beacon_network(tmp_path / "beacon.onnx", side=320), tmp_path, input_side=320)
    assert len(serving.canary.faces) == 1
    faces = [(60, 60, 40, 0.9), (200, 120, 100, 0.6)]
    picture = beacon_picture(faces, 320, 320, 320)
    heads = ServingNetwork(serving.path).heads(picture[None])[0]
    best = max(float(scores.max()) for scores in heads.scores)
    assert best == pytest.approx(beacon_faces(faces, 320, 320, 320)[0][1], abs=1e-4)


def test_a_network_in_serving_form_is_taken_as_it_is_and_proven(tmp_path):
    first = made(beacon_network(tmp_path / "beacon.onnx", side=320), tmp_path, input_side=320)
    published = tmp_path / "published.onnx"
    published.write_bytes(first.path.read_bytes())
    second = made(published, tmp_path, input_side=320)
    assert second.info.name == "published"
    assert second.info.batch_invariant
    assert difference(*(ServingNetwork(model.path).heads(NOISE[None])[0] for model in (first, second))).small
    assert second.canary.faces == first.canary.faces


def test_a_serving_form_with_other_outputs_is_refused(tmp_path):
    model = onnx.load(made(random_network(tmp_path / "export.onnx", Form(side=SIDE)), tmp_path).path)
    assert model.metadata_props[0].key == METADATA_FORM
    assert model.metadata_props[0].value == SERVING_FORM
    del model.graph.output[8]
    onnx.save(model, tmp_path / "short.onnx")
    with pytest.raises(ConfigurationError, match="outputs are"):
        made(tmp_path / "short.onnx", tmp_path)


def without_last_output(path):
    model = onnx.load(path)
    del model.graph.output[8]
    onnx.save(model, path)


def with_double_input(path):
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"\x00not a model"), "not a readable ONNX file|0 inputs"),
        (lambda path: path.write_bytes(b""), "0 inputs"),
        (without_last_output, "not an SCRFD export"),
        (with_double_input, "takes FLOAT"),
    ],
)
def test_what_is_no_scrfd_export_is_refused_in_words(tmp_path, spoil, words):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    spoil(path)
    with pytest.raises(ConfigurationError, match=words):
        made(path, tmp_path)


def test_a_second_start_takes_the_prepared_model_and_says_nothing_of_preparing(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    first = made(path, tmp_path)
    lines = []
    second = ensure(settings_for(tmp_path, str(path)), lines.append)
    assert second.path == first.path
    assert not any("preparing" in line for line in lines)
    assert load(second.path).info == first.info


@pytest.mark.parametrize("damage", ["network", "sidecar", "gone"])
def test_a_damaged_cache_entry_is_made_again(tmp_path, damage):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    first = made(path, tmp_path)
    if damage == "network":
        first.path.write_bytes(first.path.read_bytes()[:-1])
    elif damage == "sidecar":
        first.path.with_name(SIDECAR_NAME).write_text("{}")
    else:
        first.path.unlink()
    assert place.is_whole(made(path, tmp_path).path.parent)


def test_a_changed_source_gets_an_entry_of_its_own(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    first = made(path, tmp_path)
    random_network(path, Form(side=SIDE), seed=1)
    assert made(path, tmp_path).path != first.path


def test_the_model_folder_is_never_written(tmp_path):
    folder = tmp_path / "models"
    path = random_network(folder / "export.onnx", Form(side=SIDE))
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    made(path, tmp_path)
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before


def test_a_failed_preparation_leaves_nothing_behind(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    without_last_output(path)
    with pytest.raises(ConfigurationError):
        made(path, tmp_path)
    assert [entry.name for entry in (tmp_path / "data" / "cache").iterdir()] == ["lock"]


def prepare_in_process(path, folder, queue):
    lines = []
    serving = ensure(settings_for(folder, str(path)), lines.append)
    queue.put((str(serving.path), any("preparing" in line for line in lines)))


def test_two_processes_at_once_prepare_it_once(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=prepare_in_process, args=(path, tmp_path, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    answers = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert len({place for place, _ in answers}) == 1
    assert sorted(entry.name for entry in (tmp_path / "data" / "cache").iterdir()) == sorted(
        [Path(answers[0][0]).parent.name, "lock"]
    )


def test_another_side_than_a_fixed_one_is_served_where_the_graph_allows_it(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    assert made(path, tmp_path, input_side=96).info.input_side == 96


def test_baked_sizes_are_freed_where_no_operator_knows_a_size(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE, reshape="baked"), resize="baked")
    serving = made(path, tmp_path, input_side=96)
    assert serving.info.input_side == 96
    assert serving.info.dynamic_size


def test_a_graph_that_knows_its_size_asks_for_its_own_side(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE, reshape="baked"), resize="baked")
    bake_side(path, SIDE)
    with pytest.raises(ConfigurationError, match=f"FACE_API_INPUT_SIDE={SIDE}"):
        made(path, tmp_path, input_side=96)
    serving = made(path, tmp_path)
    assert not serving.info.dynamic_size
    assert serving.info.batch_invariant
    assert f"at {SIDE}×{SIDE} only, second looks too" in serving.info.note


def test_a_precision_that_is_not_to_be_had_is_refused(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    with pytest.raises(ConfigurationError, match="FACE_API_PRECISION=fp16"):
        made(path, tmp_path, precision="fp16")


def test_official_models_are_proven_and_expect_several_faces_on_the_canary(with_official_models):
    """Only where they lie beside the repository."""
    for path in official_models():
        serving = made(path, with_official_models, input_side=640, precision="fp32")
        sidecar = read_sidecar(serving.path)
        assert serving.info.batch_invariant
        assert serving.info.dynamic_size
        assert sidecar.proof["score_difference"] < 1e-5
        assert 1 <= len(serving.canary.faces) <= 8
        assert choose_file(path).spec is not None
