"""Rewritings that make a network cheaper and change its answers by rounding at most; the proof judges them.

Measured on SCRFD at 640×640, one thread: merged heads save 12 % of 500M and 3 % of 2.5G (CPU kernels work on
blocks of 16 output channels, and the three heads have 2, 8 and 20).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, helper, numpy_helper

from models.rewriting.graphs import add_constant, drop_unused, names_used
from shared.faces import FloatArray

_OURS = "face_api/cheaper/"
#: Split takes its widths as an input from here on.
CHEAPER_OPSET = 13
#: Output channels that kernels compute at once; a merged head is filled up to it.
_BLOCK = 16
_CHANNELS_LAST = [0, 2, 3, 1]


def make_cheaper(graph: GraphProto) -> None:
    """All of them, in the order in which each makes room for the next."""
    fold_factors(graph)
    merge_heads(graph)
    drop_unused(graph)


def readers_of(graph: GraphProto) -> dict[str, list[NodeProto]]:
    """tensor → nodes that read it; an output of the graph has one reader more, an empty node."""
    readers: dict[str, list[NodeProto]] = {name: [] for name in names_used(graph)}
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    for value in graph.output:
        readers.setdefault(value.name, []).append(NodeProto())
    return readers


def weights_of(graph: GraphProto) -> dict[str, FloatArray]:
    """Initialisers by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def is_plain_conv(node: NodeProto, weights: Mapping[str, object]) -> bool:
    """A convolution with constant weights and a constant bias."""
    return node.op_type == "Conv" and len(node.input) == 3 and all(name in weights for name in node.input[1:])


def fold_factors(graph: GraphProto) -> None:
    """A multiplication by one number after a convolution goes into the convolution."""
    weights, readers = weights_of(graph), readers_of(graph)
    producers = {name: node for node in graph.node for name in node.output}
    for node in [node for node in graph.node if node.op_type == "Mul"]:
        conv = next((producers[name] for name in node.input if name in producers), None)
        factor = next((weights[name] for name in node.input if name in weights), None)
        if conv is None or factor is None or factor.size != 1 or factor.dtype != np.float32:
            continue
        if not is_plain_conv(conv, weights) or len(readers[conv.output[0]]) > 1:
            continue
        for place in (1, 2):
            scaled = weights[conv.input[place]] * factor.reshape(())
            conv.input[place] = add_constant(graph, f"{_OURS}{node.output[0]}/{place}", scaled, np.float32)
        conv.output[0] = node.output[0]
        graph.node.remove(node)


def merge_heads(graph: GraphProto) -> None:
    """Convolutions over the same tensor that only a turn to channels-last reads become one, split after the turn."""
    weights, readers = weights_of(graph), readers_of(graph)
    groups: dict[tuple[str, ...], list[NodeProto]] = {}
    for node in graph.node:
        if is_plain_conv(node, weights) and _only_turned(readers[node.output[0]]):
            groups.setdefault((node.input[0], *_settings(node)), []).append(node)
    for convs in groups.values():
        if len(convs) > 1 and not any(setting.startswith("group") for setting in _settings(convs[0])):
            _merge(graph, convs, [readers[conv.output[0]][0] for conv in convs], weights)


def fold_average_pools(graph: GraphProto) -> None:
    """A 2×2 average before a 1×1 convolution becomes part of it: for int8, where averaging bytes is slow and coarse.

    Right for even sides, and SCRFD's are: input sides are multiples of 32 and no pool works above stride 16.
    """
    weights, readers = weights_of(graph), readers_of(graph)
    for pool in [node for node in graph.node if node.op_type == "AveragePool"]:
        convs = readers[pool.output[0]]
        if not _halves(pool) or not all(_is_pointwise(conv, weights) for conv in convs):
            continue
        for conv in convs:
            filters = np.repeat(np.repeat(weights[conv.input[1]] / np.float32(4), 2, axis=2), 2, axis=3)
            conv.input[0] = pool.input[0]
            conv.input[1] = add_constant(graph, f"{_OURS}{conv.output[0]}/pooled", filters, np.float32)
            del conv.attribute[:]
            conv.attribute.extend(helper.make_node("Conv", [], [], kernel_shape=[2, 2], strides=[2, 2]).attribute)
    drop_unused(graph)


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """Attributes by name."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def _halves(pool: NodeProto) -> bool:
    found = attributes_of(pool)
    square = found.get("kernel_shape") == [2, 2] and found.get("strides") == [2, 2]
    return square and not any(found.get("pads", [0]))


def _is_pointwise(conv: NodeProto, weights: Mapping[str, FloatArray]) -> bool:
    if not is_plain_conv(conv, weights) or weights[conv.input[1]].shape[2:] != (1, 1):
        return False
    found = attributes_of(conv)
    return found.get("group", 1) == 1 and found.get("strides", [1, 1]) == [1, 1] and not any(found.get("pads", [0]))


def _only_turned(readers: list[NodeProto]) -> bool:
    if len(readers) != 1 or readers[0].op_type != "Transpose":
        return False
    return list(readers[0].attribute[0].ints) == _CHANNELS_LAST


def _settings(conv: NodeProto) -> tuple[str, ...]:
    """Kernel, strides, padding and so on as text; a group of one is the default and left out."""
    plain = [item for item in conv.attribute if not (item.name == "group" and item.i == 1)]
    return tuple(sorted(f"{item.name} {helper.get_attribute_value(item)}" for item in plain))


def _merge(
    graph: GraphProto, convs: list[NodeProto], turns: list[NodeProto], weights: Mapping[str, FloatArray]
) -> None:
    name = f"{_OURS}{convs[0].output[0]}"
    filters = np.concatenate([weights[conv.input[1]] for conv in convs])
    biases = np.concatenate([weights[conv.input[2]] for conv in convs])
    spare = -len(filters) % _BLOCK
    filters = np.concatenate([filters, np.zeros((spare, *filters.shape[1:]), np.float32)])
    biases = np.concatenate([biases, np.zeros(spare, np.float32)])
    merged = NodeProto()
    merged.CopyFrom(convs[0])
    merged.input[1] = add_constant(graph, f"{name}/weights", filters, np.float32)
    merged.input[2] = add_constant(graph, f"{name}/bias", biases, np.float32)
    merged.output[0] = f"{name}/maps"
    turned = helper.make_node("Transpose", [f"{name}/maps"], [f"{name}/turned"], perm=_CHANNELS_LAST)
    parts = [len(weights[conv.input[1]]) for conv in convs] + ([spare] if spare else [])
    widths = add_constant(graph, f"{name}/widths", parts, np.int64)
    answers = [turn.output[0] for turn in turns] + ([f"{name}/spare"] if spare else [])
    split = helper.make_node("Split", [f"{name}/turned", widths], answers, axis=3)
    gone = {node.output[0] for node in [*convs, *turns]}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.output[0] == convs[0].output[0]:
            nodes += [merged, turned, split]
        if node.output[0] not in gone:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
