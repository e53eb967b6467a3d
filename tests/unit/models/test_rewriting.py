"""Rewritings for speed: cheaper, wider, equalised. Each answers as before."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from loadtest.networks import SHAPES, random_scrfd
from models.ensure import ensure
from models.int8.equalise import channel_shares, equalisable, equalise
from models.preparing.machine import GPU_BLOCK
from models.proving.runtime import open_session
from models.rewriting.cheaper import fold_average_pools, fold_factors, merge_heads
from models.rewriting.graphs import copied
from models.rewriting.widen import widen
from tests.networks import Form, random_network
from tests.unit.models.graphs import answers, conv, kinds, network, weights_for
from tests.unit.models.material import SIDE, settings_for


def rewritten(model, rewrite, **arguments):
    """A copy after `rewrite`, checked to answer as before."""
    after = copied(model)
    rewrite(after.graph, **arguments)
    for one, other in zip(answers(model), answers(after), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    return after


def test_heads_of_a_served_network_run_as_one_convolution_per_level(tmp_path):
    path = random_network(tmp_path / "export.onnx", Form(side=SIDE))
    served = onnx.load(ensure(settings_for(tmp_path, str(path)), lambda _line: None).path)
    assert kinds(onnx.load(path)).count("Conv") == 5 + 9
    assert kinds(served).count("Conv") == 5 + 3


def heads(**second):
    turn = {"perm": [0, 2, 3, 1]}
    nodes = [
        conv("x", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        conv("x", "b", **({"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]} | second)),
        helper.make_node("Transpose", ["a"], ["ta"], **turn),
        helper.make_node("Transpose", ["b"], ["tb"], **turn),
    ]
    size = second.get("kernel_shape", [3, 3])
    return network(nodes, weights_for("a", (2, 3, 3, 3)) | weights_for("b", (8, 3, *size), 1), ["ta", "tb"])


def test_two_heads_over_one_tensor_become_one():
    assert kinds(rewritten(heads(), merge_heads)) == ["Conv", "Transpose", "Split"]


def test_heads_with_other_settings_stay_apart():
    assert kinds(rewritten(heads(kernel_shape=[1, 1], pads=[0, 0, 0, 0]), merge_heads)).count("Conv") == 2


def scaled(*more_nodes, outputs=("y",)):
    nodes = [conv("x", "a"), helper.make_node("Mul", ["a", "f"], ["y"]), *more_nodes]
    return network(nodes, weights_for("a", (4, 3, 3, 3)) | {"f": np.float32(1.7)}, list(outputs))


def test_a_factor_goes_into_the_convolution():
    assert kinds(rewritten(scaled(), fold_factors)) == ["Conv"]


def test_a_factor_stays_where_the_plain_result_is_read_too():
    model = scaled(helper.make_node("Relu", ["a"], ["z"]), outputs=("y", "z"))
    assert kinds(rewritten(model, fold_factors)) == ["Conv", "Mul", "Relu"]


@pytest.mark.parametrize(
    ("pool", "kernel", "folds"),
    [
        ({"kernel_shape": [2, 2], "strides": [2, 2]}, (1, 1), True),
        ({"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, (1, 1), True),
        ({"kernel_shape": [2, 2], "strides": [1, 1]}, (1, 1), False),
        ({"kernel_shape": [3, 3], "strides": [2, 2]}, (1, 1), False),
        ({"kernel_shape": [2, 2], "strides": [2, 2]}, (3, 3), False),
    ],
)
def test_an_average_of_two_by_two_goes_into_a_pointwise_convolution(pool, kernel, folds):
    nodes = [helper.make_node("AveragePool", ["x"], ["p"], **pool), conv("p", "y")]
    model = network(nodes, weights_for("y", (4, 3, *kernel)), ["y"])
    assert (kinds(rewritten(model, fold_average_pools)) == ["Conv"]) == folds


def separable(end=()):
    """Convolution to 5 channels, depthwise, and a convolution to 6 that is summed with itself and turned."""
    nodes = [
        conv("x", "a"),
        helper.make_node("Relu", ["a"], ["ra"]),
        conv("ra", "d", group=5, kernel_shape=[3, 3]),
        helper.make_node("Relu", ["d"], ["rd"]),
        conv("rd", "e"),
        helper.make_node("Add", ["e", "e"], ["s"]),
        conv("s", "y"),
        *end,
    ]
    weights = weights_for("a", (5, 3, 3, 3)) | weights_for("d", (5, 1, 3, 3), 1) | weights_for("e", (6, 5, 1, 1), 2)
    return network(nodes, weights | weights_for("y", (3, 6, 1, 1), 3), ["y"])


def channels_of(model):
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    return [shapes[node.input[1]][0] for node in model.graph.node if node.op_type == "Conv"]


def filters_of(model, result):
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return next(weights[node.input[1]] for node in model.graph.node if node.output[0] == result)


def test_inner_maps_are_widened_and_the_answer_is_not():
    assert channels_of(rewritten(separable(), widen, block=8, depthwise_block=16)) == [16, 16, 8, 3]


def test_a_block_of_one_changes_nothing():
    assert channels_of(rewritten(separable(), widen, block=1, depthwise_block=1)) == [5, 5, 6, 3]


def test_what_an_unknown_operator_reads_keeps_its_width():
    model = separable()
    model.graph.node.append(helper.make_node("Softmax", ["s"], ["soft"], axis=1))
    model.graph.output.append(onnx.ValueInfoProto(name="soft"))
    assert channels_of(rewritten(model, widen, block=8, depthwise_block=8)) == [8, 8, 6, 3]


def test_channels_before_a_depthwise_convolution_are_scaled_alike():
    model = separable()
    assert equalisable(model.graph) == {"ra", "rd"}
    ranges = {"ra": np.array([[0.0, 8.0], [0.0, 1.0], [0.0, 4.0], [0.0, 0.0], [0.0, 8.0]]), "e": np.array([-1.0, 1.0])}
    after = rewritten(model, lambda graph: ranges.update(equalise(graph, ranges)))
    assert ranges["ra"].tolist() == [0.0, 8.0]
    assert ranges["e"].tolist() == [-1.0, 1.0]
    assert len(after.graph.node) == len(model.graph.node)


def test_channels_before_an_ungrouped_convolution_go_half_of_the_way():
    ranges = {"rd": np.array([[0.0, 8.0], [0.0, 0.5 / 1.3], [0.0, 8.0], [0.0, 8.0], [0.0, 8.0]])}
    model = separable()
    before = filters_of(model, "e")
    after = rewritten(model, lambda graph: ranges.update(equalise(graph, ranges)))
    assert ranges["rd"].tolist() == [0.0, 8.0]
    assert filters_of(after, "e")[0, :, 0, 0] / before[0, :, 0, 0] == pytest.approx([1, 0.25, 1, 1, 1])


def test_what_is_not_only_convolved_is_not_scaled():
    model = separable()
    model.graph.node.append(helper.make_node("Softmax", ["ra"], ["soft"], axis=1))
    assert equalisable(model.graph) == {"rd"}


def test_shares_have_headroom_and_a_floor():
    shares = channel_shares(np.array([10.0, 1.0, 0.01, 9.9]))
    assert shares.tolist() == pytest.approx([1.0, 0.13, 1 / 16, 1.0])


@pytest.mark.parametrize("shape", ["2.5g", "10g"])
def test_for_a_card_every_inner_map_gets_channels_by_eights_and_nothing_else_changes(shape: str) -> None:
    served = random_scrfd(SHAPES[shape], 64)
    wide = copied(served)
    widen(wide.graph, GPU_BLOCK, GPU_BLOCK)
    pictures = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    found, right = (open_session(one.SerializeToString(), 1).run(None, {"images": pictures}) for one in (wide, served))
    for one, other in zip(found, right, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    weights = {tensor.name: tensor.dims for tensor in wide.graph.initializer}
    ends = {output.name for output in wide.graph.output}
    convolutions = [node for node in wide.graph.node if node.op_type == "Conv"]
    narrow = [node for node in convolutions if weights[node.input[1]][0] % GPU_BLOCK]
    assert len(narrow) <= len(ends)  # the heads: what is answered stays as wide as it is
    first, *others = convolutions
    assert weights[first.input[1]][1] == 3  # the colours
    assert all(weights[node.input[1]][1] % GPU_BLOCK == 0 for node in others if not is_depthwise(node))


def is_depthwise(node: onnx.NodeProto) -> bool:
    return any(item.name == "group" and item.i > 1 for item in node.attribute)
