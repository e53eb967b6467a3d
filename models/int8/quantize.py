"""fp32 serving form → int8 serving form: static QDQ, weights per channel, activations from given ranges.

Pure: a graph and numbers in, a graph out. Whether the result is good enough is decided elsewhere
(`models/proving/gate.py`). onnxruntime fuses a DequantizeLinear before and a QuantizeLinear after an operator into
one that works on bytes; what it cannot fuse stays right in float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper

from models.int8 import stem
from models.int8.equalise import equalisable, equalise
from models.int8.heads import end_head, head_scales
from models.int8.work import OURS, Ranges, Scale, Work, add_scale, byte_scale
from models.rewriting.cheaper import fold_average_pools, is_plain_conv, readers_of, weights_of
from models.rewriting.graphs import add_constant, copied, drop_unused
from models.rewriting.widen import widen
from shared.errors import ConfigurationError
from shared.faces import FloatArray

INPUT = "images"

#: Operators that compute on bytes between dequantised inputs and a quantised output.
COMPUTING = frozenset({"Conv", "Add", "AveragePool", "Relu"})
#: Operators that only move or compare values: their output has the range of their input.
_MOVING = frozenset({"MaxPool", "Resize"})
#: The byte that stands for a pixel value of 127.5 nearly: the half is put into the bias.
_ZERO_PIXEL = 127
#: Channels that byte kernels compute at once (measured, see models/rewriting/widen.py).
BLOCK, DEPTHWISE_BLOCK = 8, 16


@dataclass(frozen=True, slots=True)
class PixelRule:
    """How the network's first float tensor follows from the pixels: factor · byte + offset, planes in order.

    tensor: its name. order: the BGR index of each plane, (2, 1, 0) for RGB.
    """

    tensor: str
    factor: float
    offset: float
    order: tuple[int, ...]


def quantised(
    model: ModelProto,
    ranges: Ranges,
    pixels: PixelRule | None,
    weight_max: int = 127,
    shifts: Mapping[str, float] | None = None,
) -> ModelProto:
    """The same network in int8, with the same input and outputs. The model must have been through `simplified`.

    ranges: a tensor without one stays in float. pixels: lets the first convolution read the bytes themselves;
    None leaves the float path. weight_max: 127, or 63 for machines whose byte products saturate. shifts: logits of a
    head → what is added to them, so that they are those of the model on average.
    """
    served = copied(model)
    graph = served.graph
    work = Work(graph, equalise(graph, ranges), weight_max, weights_of(graph), readers_of(graph), shifts=shifts or {})
    if pixels is not None:
        _read_bytes(work, pixels)
    for node in graph.node:
        _convert(work, node)
    del graph.node[:]
    graph.node.extend(work.nodes)
    drop_unused(graph)
    return served


def simplified(model: ModelProto) -> ModelProto:
    """What calibration measures and quantisation starts from; channels in multiples of what byte kernels like."""
    plain = copied(model)
    fold_average_pools(plain.graph)
    widen(plain.graph, BLOCK, DEPTHWISE_BLOCK)
    return plain


def tensors_to_measure(graph: GraphProto) -> list[tuple[str, bool]]:
    """(tensor, whether per channel): what bytes will stand for. Channels count where heads end or are equalised.

    What only a Relu reads is no tensor of its own: the Relu is done by cutting at zero.
    """
    readers, equal = readers_of(graph), equalisable(graph)
    wanted = []
    for node in graph.node:
        kinds = [reader.op_type for reader in readers[node.output[0]]]
        if node.op_type in COMPUTING and kinds != ["Relu"]:
            head = node.op_type == "Conv" and kinds == ["Transpose"]
            wanted.append((node.output[0], head or node.output[0] in equal))
    return wanted


def _read_bytes(work: Work, rule: PixelRule) -> None:
    """Call the bytes of the picture dequantised, and let the first convolutions expect that."""
    convs = work.readers[rule.tensor]
    if not convs or not all(is_plain_conv(conv, work.weights) for conv in convs):
        raise ConfigurationError("the first layers are not all convolutions with a bias; their input cannot be bytes")
    results = [_after_relu(work, conv.output[0]) for conv in convs]
    paired = all(stem.fits(conv, work.weights) for conv in convs) and all(
        work.ranges.get(result, np.empty((0, 0))).ndim == 1 for result in results
    )
    for conv, result in zip(convs, results, strict=True):
        filters, bias = _expecting_bytes(work.weights[conv.input[1]], work.weights[conv.input[2]], rule)
        if paired:
            work.paired[result] = len(filters)
            filters, bias = stem.paired_filters(filters), np.tile(bias, stem.RESULTS)
            del conv.attribute[:]
            conv.attribute.extend(stem.paired_attributes())
        conv.input[1], conv.input[2] = f"{OURS}{conv.output[0]}/w", f"{OURS}{conv.output[0]}/b"
        work.weights[conv.input[1]], work.weights[conv.input[2]] = filters, bias
    source = _reshaped(work, INPUT, stem.PIXELS * 3) if paired else INPUT
    scale, real = add_scale(work, "pixels", rule.factor, _ZERO_PIXEL), f"{OURS}pixels/real"
    planes = _turned(work, source, [0, 3, 1, 2])
    work.nodes.append(helper.make_node("DequantizeLinear", [planes, scale.step_name, scale.zero_name], [real]))
    work.scales[rule.tensor], work.ready[rule.tensor] = scale, real


def _expecting_bytes(filters: FloatArray, bias: FloatArray, rule: PixelRule) -> tuple[FloatArray, FloatArray]:
    """Filters and bias for bytes as they come, of those for what the rule makes of them."""
    missing = np.float32(rule.offset + _ZERO_PIXEL * rule.factor)
    bias = bias + missing * filters.sum(axis=(1, 2, 3), dtype=np.float32)
    return np.ascontiguousarray(filters[:, np.argsort(rule.order)]), bias


def _after_relu(work: Work, name: str) -> str:
    readers = work.readers[name]
    return readers[0].output[0] if [reader.op_type for reader in readers] == ["Relu"] else name


def _turned(work: Work, name: str, order: list[int]) -> str:
    turned = f"{OURS}{name}/turned{len(work.nodes)}"
    work.nodes.append(helper.make_node("Transpose", [name], [turned], perm=order))
    return turned


def _reshaped(work: Work, name: str, channels: int) -> str:
    """Channels-last bytes with another number of channels, and so of columns."""
    reshaped = f"{OURS}{name}/reshaped"
    shape = add_constant(work.graph, f"{reshaped}/shape", [0, 0, -1, channels], np.int64)
    work.nodes.append(helper.make_node("Reshape", [name, shape], [reshaped]))
    return reshaped


def _convert(work: Work, node: NodeProto) -> None:
    """The node with dequantised inputs, then its output as bytes where it has a range."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [work.ready.get(name, name) for name in node.input]
    output, source = node.output[0], work.scales.get(node.input[0]) if node.input else None
    found = work.ranges.get(output)
    if node.op_type == "Conv" and source is not None and is_plain_conv(node, work.weights):
        head = None if found is None or found.ndim == 1 else head_scales(work, output, found)
        _quantise_weights(work, copy, source.step, head)
        work.nodes.append(copy)
        if head is not None:
            end_head(work, output, *head)
            return
    elif output not in work.ready:
        work.nodes.append(copy)
    if node.op_type in _MOVING and source is not None:
        _pass_bytes(work, output, source)
    elif node.op_type in COMPUTING and found is not None and found.ndim == 1:
        step, zero = byte_scale(*found)
        _pass_bytes(work, output, add_scale(work, output, step, zero))


def _pass_bytes(work: Work, output: str, scale: Scale) -> None:
    """The output as bytes; results that a paired first layer gives side by side become columns again."""
    stored, real = f"{OURS}{output}/bytes", f"{OURS}{output}/real"
    constants = [scale.step_name, scale.zero_name]
    work.nodes.append(helper.make_node("QuantizeLinear", [output, *constants], [stored]))
    if output in work.paired:
        last = _reshaped(work, _turned(work, stored, [0, 2, 3, 1]), work.paired[output])
        stored = _turned(work, last, [0, 3, 1, 2])
    work.nodes.append(helper.make_node("DequantizeLinear", [stored, *constants], [real]))
    work.scales[output], work.ready[output] = scale, real


def _quantise_weights(
    work: Work, conv: NodeProto, input_step: float, head: tuple[FloatArray, NDArray[np.uint8]] | None
) -> None:
    """Weights as int8 with one step per output channel, bias as int32 in the product of the steps.

    A head's convolution answers in bytes outright: divided by each channel's step and moved by its zero.
    """
    filters, bias = work.weights[conv.input[1]], work.weights[conv.input[2]].astype(np.float64)
    steps = channel_steps(filters, work.weight_max)
    whole = np.rint(filters / steps.reshape(-1, 1, 1, 1)).astype(np.int8)
    if head is not None:
        steps = (steps / head[0]).astype(np.float32)
        bias = bias / head[0] + head[1]
    products = (steps * np.float32(input_step)).astype(np.float32)
    limits = np.iinfo(np.int32)
    whole_bias = np.clip(np.rint(bias / products), limits.min, limits.max).astype(np.int32)
    conv.input[1] = _dequantised(work, f"{conv.output[0]}/weights", whole, steps)
    conv.input[2] = _dequantised(work, f"{conv.output[0]}/bias", whole_bias, products)


def channel_steps(filters: FloatArray, weight_max: int) -> FloatArray:
    """(channels,) float32: the largest weight of each output channel becomes ±weight_max."""
    largest = np.abs(filters.reshape(len(filters), -1)).max(axis=1)
    steps: FloatArray = (np.maximum(largest, np.float32(1e-8)) / np.float32(weight_max)).astype(np.float32)
    return steps


def _dequantised(work: Work, name: str, whole: NDArray[np.int8] | NDArray[np.int32], steps: FloatArray) -> str:
    kind = whole.dtype.type
    stored = add_constant(work.graph, f"{OURS}{name}/whole", whole, kind)
    scale = add_constant(work.graph, f"{OURS}{name}/steps", steps, np.float32)
    zeros = add_constant(work.graph, f"{OURS}{name}/zeros", np.zeros(len(steps)), kind)
    real = f"{OURS}{name}/real"
    work.nodes.append(helper.make_node("DequantizeLinear", [stored, scale, zeros], [real], axis=0))
    return real
