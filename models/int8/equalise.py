"""Scales the channels between two convolutions to like ranges, so that bytes suit each of them.

Exact in real numbers: a factor before a Relu comes out of it again, and the convolutions after it take it back, a
depthwise one per channel, another in the weights of that input. There a small factor spreads the weights instead, so
half of the way is gone (arXiv 1906.04721). Measured on scrfd_500m_open, whose first layer has channels up to 0.8 and
up to 12.5: half the drift of int8 before depthwise layers. Before the others a fifth less of it at stride 8, measured
on weights that are not served.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto

from models.rewriting.cheaper import attributes_of, is_plain_conv, readers_of, weights_of
from models.rewriting.graphs import add_constant, drop_unused
from shared.faces import FloatArray

_OURS = "face_api/equal/"
#: Headroom over the greatest value seen in a channel, and the least share of the widest channel's range.
_HEADROOM, _SHARE_MIN = 1.3, 1 / 16
#: How much of the way to like ranges is gone where weights of several inputs share a step.
_MIXING_POWER = 0.5


def equalisable(graph: GraphProto) -> set[str]:
    """Tensors after a convolution and its Relu that only convolutions read, depthwise ones or ungrouped."""
    weights, readers = weights_of(graph), readers_of(graph)
    producers = {name: node for node in graph.node for name in node.output}
    found = set()
    for node in graph.node:
        if node.op_type != "Relu" or node.input[0] not in producers:
            continue
        alone = len(readers[node.input[0]]) == 1 and is_plain_conv(producers[node.input[0]], weights)
        after = readers[node.output[0]]
        if alone and after and all(_is_depthwise(one, weights) or _mixes(one, weights) for one in after):
            found.add(node.output[0])
    return found


def equalise(graph: GraphProto, ranges: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Scales in place what `equalisable` names and `ranges` has per channel; returns one range for each of those."""
    weights, readers = weights_of(graph), readers_of(graph)
    producers = {name: node for node in graph.node for name in node.output}
    after = dict(ranges)
    for name in sorted(equalisable(graph).intersection(name for name, found in ranges.items() if found.ndim == 2)):
        mixed = any(_mixes(reader, weights) for reader in readers[name])
        shares = channel_shares(ranges[name][:, 1]) ** np.float32(_MIXING_POWER if mixed else 1.0)
        conv = producers[producers[name].input[0]]
        _replace(graph, weights, conv, 1, weights[conv.input[1]] / shares.reshape(-1, 1, 1, 1))
        _replace(graph, weights, conv, 2, weights[conv.input[2]] / shares)
        for reader in readers[name]:
            shape = (1, -1, 1, 1) if _mixes(reader, weights) else (-1, 1, 1, 1)
            _replace(graph, weights, reader, 1, weights[reader.input[1]] * shares.reshape(shape))
        after[name] = np.array([0.0, float((ranges[name][:, 1] / shares).max())])
    drop_unused(graph)
    return after


def channel_shares(greatest: NDArray[np.float64]) -> FloatArray:
    """(C,) float32 in 1/16..1: each channel's range as a share of the widest one's, with headroom."""
    widest = max(float(greatest.max()), 1e-8)
    shares: FloatArray = np.clip(greatest * _HEADROOM / widest, _SHARE_MIN, 1.0).astype(np.float32)
    return shares


def _replace(
    graph: GraphProto, weights: dict[str, FloatArray], node: NodeProto, place: int, values: FloatArray
) -> None:
    name = add_constant(graph, f"{_OURS}{node.output[0]}/{place}", values, np.float32)
    node.input[place] = name
    weights[name] = values


def _is_depthwise(node: NodeProto, weights: dict[str, FloatArray]) -> bool:
    if not is_plain_conv(node, weights):
        return False
    shape = weights[node.input[1]].shape
    return bool(shape[1] == 1 and attributes_of(node).get("group", 1) == shape[0])


def _mixes(node: NodeProto, weights: dict[str, FloatArray]) -> bool:
    """An ungrouped convolution: each of its results is of all channels."""
    return is_plain_conv(node, weights) and attributes_of(node).get("group", 1) == 1
