"""int8: the numbers, the graph, and the first layer that reads the picture as it lies."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from models.catalogue.choose import choose
from models.int8.best import base_network, int8_network
from models.int8.calibrate import best_range, measured_ranges, measured_shifts
from models.int8.heads import LOGIT_MIN, logit_tensors
from models.int8.pixels import pixel_rule
from models.int8.quantize import channel_steps, quantised
from models.int8.stem import paired_filters
from models.int8.work import byte_scale
from models.preparing.prepare import place_of
from models.proving.proof import ServingNetwork, proof_pictures
from shared.canary import canary_picture
from tests.networks import Form, random_network
from tests.unit.models.graphs import kinds
from tests.unit.models.material import SIDE, settings_for


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    settings = settings_for(folder, str(random_network(folder / "export.onnx", Form(side=SIDE))))
    return base_network(place_of(choose(settings), settings))


@pytest.fixture(scope="module")
def pictures():
    chance = np.random.default_rng(1)
    return [*proof_pictures(canary_picture(), SIDE, SIDE), chance.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)]


@pytest.fixture(scope="module")
def ranges(base, pictures):
    return measured_ranges(base, pictures)


def drift(first, second, pictures):
    """Largest difference in scores and in distances over the pictures."""
    runs = [(first.run(picture[None]), second.run(picture[None])) for picture in pictures]
    pairs = [pair for one, other in runs for pair in zip(one, other, strict=True)]
    return [max(float(np.abs(a - b).max()) for a, b in pairs if (a.shape[2] == 1) == score) for score in (True, False)]


def test_an_int8_network_answers_nearly_as_in_fp32(base, ranges, pictures):
    exact = ServingNetwork(base.SerializeToString())
    rounded = ServingNetwork(quantised(base, ranges, pixel_rule(base)).SerializeToString())
    score, distance = drift(exact, rounded, pictures)
    assert 0 < score < 0.05
    assert distance < 0.3


def logit(scores):
    return np.log(scores.astype(np.float64) / (1 - scores))


def test_logits_are_moved_by_the_shift_of_their_head_and_nothing_else_is(base, ranges, pictures):
    shifts = dict.fromkeys(logit_tensors(base.graph), 0.25)
    assert len(shifts) == 3
    networks = (quantised(base, ranges, pixel_rule(base), shifts=found) for found in ({}, shifts))
    plain, moved = (ServingNetwork(network.SerializeToString()) for network in networks)
    for one, other in zip(plain.run(pictures[0][None]), moved.run(pictures[0][None]), strict=True):
        if one.shape[2] == 1:
            assert logit(other) - logit(one) == pytest.approx(0.25, abs=1e-3)
        else:
            assert np.array_equal(one, other)


def test_measured_shifts_take_away_a_bias(base, ranges, pictures):
    biased = int8_network(base, ranges, shifts=dict.fromkeys(logit_tensors(base.graph), -0.5))
    plain, missing = (measured_shifts(base, network, pictures) for network in (int8_network(base, ranges), biased))
    assert set(missing) == set(plain) != set()
    assert all(missing[head] - plain[head] == pytest.approx(0.5, abs=0.1) for head in plain)


def test_every_convolution_becomes_bytes_in_and_weights_per_channel(base, ranges):
    network = quantised(base, ranges, pixel_rule(base))
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in network.graph.initializer}
    stored = {node.output[0]: node.input for node in network.graph.node if node.op_type == "DequantizeLinear"}
    convs = [node for node in network.graph.node if node.op_type == "Conv"]
    assert len(convs) == 8
    for conv in convs:
        whole, steps, _ = stored[conv.input[1]]
        assert weights[whole].dtype == np.int8
        assert weights[steps].shape == (len(weights[whole]),)
        assert conv.input[0] in stored


def test_a_tensor_without_a_range_stays_in_float(base, ranges, pictures):
    some = {name: values for name, values in ranges.items() if values.ndim == 2}
    exact = ServingNetwork(base.SerializeToString())
    fewer = ServingNetwork(quantised(base, some, None).SerializeToString())
    assert (
        drift(exact, fewer, pictures)[0]
        <= drift(exact, ServingNetwork(quantised(base, ranges, None).SerializeToString()), pictures)[0]
    )
    assert kinds(quantised(base, {}, None)).count("QuantizeLinear") == 0


def test_the_first_layer_on_bytes_is_the_first_layer(base, ranges, pictures):
    """Against the same int8 network with the pixels still made float: rounding of the input alone differs."""
    on_bytes = quantised(base, ranges, pixel_rule(base))
    on_floats = quantised(base, ranges, None)
    assert "Cast" in kinds(on_floats)
    assert "Cast" not in kinds(on_bytes)
    score, distance = drift(
        ServingNetwork(on_bytes.SerializeToString()), ServingNetwork(on_floats.SerializeToString()), pictures
    )
    assert score < 0.03
    assert distance < 0.2


def test_first_layers_side_by_side_all_read_the_bytes(tmp_path, pictures):
    """Of the open network, whose two views look at the same picture."""
    settings = settings_for(tmp_path, "scrfd_500m_open")
    base = base_network(place_of(choose(settings), settings))
    ranges = measured_ranges(base, pictures)
    on_bytes, on_floats = quantised(base, ranges, pixel_rule(base)), quantised(base, ranges, None)
    assert kinds(on_floats).count("Cast") > kinds(on_bytes).count("Cast") == 0
    score, _ = drift(
        ServingNetwork(on_bytes.SerializeToString()), ServingNetwork(on_floats.SerializeToString()), pictures
    )
    assert score < 0.2  # depthwise layers are rounded coarsely; of another picture nearly everything differs


def test_the_int8_network_takes_any_size_and_batch(base, ranges):
    network = ServingNetwork(quantised(base, ranges, pixel_rule(base)).SerializeToString())
    pictures = np.random.default_rng(2).integers(0, 256, (3, 96, 160, 3), dtype=np.uint8)
    together = network.run(pictures)
    for row, picture in enumerate(pictures):
        for whole, alone in zip(together, network.run(picture[None]), strict=True):
            np.testing.assert_array_equal(whole[row], alone[0])


def test_seven_bits_of_weight_are_kept_where_sums_saturate(base, ranges):
    network = quantised(base, ranges, pixel_rule(base), weight_max=63)
    whole = [onnx.numpy_helper.to_array(tensor) for tensor in network.graph.initializer]
    assert max(int(np.abs(values).max()) for values in whole if values.dtype == np.int8) == 63


def test_paired_filters_read_the_same_pixels():
    """Over a row of pixels 0..7: result at pixel 4 reads 3, 4, 5; the one at pixel 6 reads 5, 6, 7."""
    filters = np.arange(3 * 3 * 3, dtype=np.float32).reshape(1, 3, 3, 3)
    wide = paired_filters(filters).reshape(2, 1, 4, 3, 3, 2)
    row = np.random.default_rng(0).normal(size=(8, 3, 3))  # pixel, plane, kernel row
    for result in range(2):
        middle = 4 + 2 * result
        expected = sum(float((filters[0, :, :, column] * row[middle - 1 + column]).sum()) for column in range(3))
        found = sum(float((wide[result, 0, :, :, :, block] * row[4 * block : 4 * block + 4]).sum()) for block in (0, 1))
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("low", "high"), [(0.0, 5.1), (-3.0, 2.0), (1.0, 4.0), (-4.0, -1.0), (0.0, 0.0)])
def test_zero_is_always_exact_and_the_range_is_covered(low, high):
    step, zero = byte_scale(low, high)
    assert 0 <= zero <= 255
    assert (0 - zero) * step <= min(low, 0) + step
    assert (255 - zero) * step >= max(high, 0) - step


def test_each_channel_uses_its_whole_range():
    filters = np.array([[[[0.5]]], [[[-2.0]]], [[[0.0]]]], np.float32)
    assert channel_steps(filters, 127).tolist() == pytest.approx([0.5 / 127, 2.0 / 127, 1e-8 / 127])


def test_a_rare_extreme_is_cut_and_a_common_one_is_not():
    common = np.random.default_rng(0).normal(0, 1, 100_000).astype(np.float32)
    assert best_range(-40.0, 40.0, common)[1] < 30
    flat = np.linspace(0, 10, 100_000, dtype=np.float32)
    assert best_range(0.0, 10.0, flat) == (0.0, 10.0)


def test_logits_keep_their_resolution_for_scores_that_matter(base, ranges):
    wide = {name: np.array([[-500.0, 5.0]] * len(values)) if values.ndim == 2 else values
            for name, values in ranges.items()}  # fmt: skip
    network = quantised(base, wide, pixel_rule(base))
    graph, weights = network.graph, {tensor.name: tensor for tensor in network.graph.initializer}
    factors = [node.input[1] for node in graph.node if node.op_type == "Mul" and node.input[1].endswith("steps")]
    score, box, landmarks = (onnx.numpy_helper.to_array(weights[name]) for name in factors[:3])
    assert score == pytest.approx([(5.0 - LOGIT_MIN) / 255] * 2)
    assert [*box, *landmarks] == pytest.approx([505.0 / 255] * 28)


def test_the_rule_of_the_pixels_is_found_whatever_the_graph_calls_things(base):
    rule = pixel_rule(base)
    assert (rule.factor, rule.offset, rule.order) == (1.0, -127.5, (2, 1, 0))
    renamed = onnx.ModelProto()
    renamed.CopyFrom(base)
    order = next(tensor for tensor in renamed.graph.initializer if tensor.name.endswith("order"))
    order.CopyFrom(onnx.numpy_helper.from_array(np.array([0, 1, 2], np.int64), order.name))
    assert pixel_rule(renamed).order == (0, 1, 2)


def test_pixels_that_follow_no_rule_are_left_alone(base):
    bent = onnx.ModelProto()
    bent.CopyFrom(base)
    shift = next(node for node in bent.graph.node if node.op_type == "Sub")
    bent.graph.node.insert(
        list(bent.graph.node).index(shift) + 1, onnx.helper.make_node("Abs", ["bent"], [shift.output[0]])
    )
    shift.output[0] = "bent"
    assert pixel_rule(bent) is None
