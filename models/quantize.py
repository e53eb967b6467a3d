"""fp32 serving form → int8 serving form: static QDQ, weights per channel, activations from given ranges.

Pure: a graph and numbers in, a graph out. Whether the result is good enough is decided elsewhere
(`models/gate.py`). onnxruntime fuses a DequantizeLinear before and a QuantizeLinear after an operator into
one that works on bytes; what it cannot fuse stays right in float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper

from models import byte_stem
from models.cheaper import fold_average_pools, is_plain_conv, readers_of, weights_of
from models.equalise import equalisable, equalise
from models.graphs import add_constant, copied, drop_unused
from models.widen import widen
from shared.errors import ConfigurationError
from shared.faces import FloatArray

INPUT = "images"
_OURS = "face_api/int8/"

#: Operators that compute on bytes between dequantised inputs and a quantised output.
COMPUTING = frozenset({"Conv", "Add", "AveragePool", "Relu"})
#: Operators that only move or compare values: their output has the range of their input.
_MOVING = frozenset({"MaxPool", "Resize"})
#: The byte that stands for a pixel value of 127.5 nearly: the half is put into the bias.
_ZERO_PIXEL = 127
_BYTE_MAX = 255
#: Channels that byte kernels compute at once (measured, see models/widen.py).
BLOCK, DEPTHWISE_BLOCK = 8, 16
#: sigmoid(−9) is 0.0001: lower logits need no resolution.
LOGIT_MIN = -9.0

#: tensor → least and greatest value, or one such pair per channel.
Ranges = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class PixelRule:
    """How the network's first float tensor follows from the pixels: factor · byte + offset, planes in order.

    tensor: its name. order: the BGR index of each plane, (2, 1, 0) for RGB.
    """

    tensor: str
    factor: float
    offset: float
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Scale:
    """real = step · (byte − zero); the names of both constants."""

    step: float
    step_name: str
    zero_name: str


@dataclass
class _Work:
    """The graph under the knife. scales: of every tensor that passes as bytes. ready: its dequantised name.
    paired: a tensor whose channels hold two columns → how many channels it really has."""

    graph: GraphProto
    ranges: Ranges
    weight_max: int
    weights: dict[str, FloatArray]
    readers: dict[str, list[NodeProto]]
    nodes: list[NodeProto] = field(default_factory=list)
    scales: dict[str, _Scale] = field(default_factory=dict)
    ready: dict[str, str] = field(default_factory=dict)
    paired: dict[str, int] = field(default_factory=dict)


def quantised(model: ModelProto, ranges: Ranges, pixels: PixelRule | None, weight_max: int = 127) -> ModelProto:
    """The same network in int8, with the same input and outputs. The model must have been through `simplified`.

    ranges: a tensor without one stays in float. pixels: lets the first convolution read the bytes themselves;
    None leaves the float path. weight_max: 127, or 63 for machines whose byte products saturate.
    """
    served = copied(model)
    graph = served.graph
    work = _Work(graph, equalise(graph, ranges), weight_max, weights_of(graph), readers_of(graph))
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


def _read_bytes(work: _Work, rule: PixelRule) -> None:
    """Call the bytes of the picture dequantised, and let the first convolution expect that."""
    convs = work.readers[rule.tensor]
    if len(convs) != 1 or not is_plain_conv(convs[0], work.weights):
        raise ConfigurationError("the first layer is no single convolution with a bias; its input cannot be bytes")
    conv = convs[0]
    missing = np.float32(rule.offset + _ZERO_PIXEL * rule.factor)
    filters, bias = work.weights[conv.input[1]], work.weights[conv.input[2]]
    bias = bias + missing * filters.sum(axis=(1, 2, 3), dtype=np.float32)
    filters = np.ascontiguousarray(filters[:, np.argsort(rule.order)])
    after = _after_relu(work, conv.output[0])
    source = INPUT
    if byte_stem.fits(conv, work.weights) and work.ranges.get(after, np.empty((0, 0))).ndim == 1:
        work.paired[after] = len(filters)
        source = _reshaped(work, INPUT, byte_stem.PIXELS * 3)
        filters, bias = byte_stem.paired_filters(filters), np.tile(bias, byte_stem.RESULTS)
        del conv.attribute[:]
        conv.attribute.extend(byte_stem.paired_attributes())
    conv.input[1], conv.input[2] = f"{_OURS}{conv.output[0]}/w", f"{_OURS}{conv.output[0]}/b"
    work.weights[conv.input[1]], work.weights[conv.input[2]] = filters, bias
    scale, real = _add_scale(work, "pixels", rule.factor, _ZERO_PIXEL), f"{_OURS}pixels/real"
    planes = _turned(work, source, [0, 3, 1, 2])
    work.nodes.append(helper.make_node("DequantizeLinear", [planes, scale.step_name, scale.zero_name], [real]))
    work.scales[rule.tensor], work.ready[rule.tensor] = scale, real


def _after_relu(work: _Work, name: str) -> str:
    readers = work.readers[name]
    return readers[0].output[0] if [reader.op_type for reader in readers] == ["Relu"] else name


def _turned(work: _Work, name: str, order: list[int]) -> str:
    turned = f"{_OURS}{name}/turned{len(work.nodes)}"
    work.nodes.append(helper.make_node("Transpose", [name], [turned], perm=order))
    return turned


def _reshaped(work: _Work, name: str, channels: int) -> str:
    """Channels-last bytes with another number of channels, and so of columns."""
    reshaped = f"{_OURS}{name}/reshaped"
    shape = add_constant(work.graph, f"{reshaped}/shape", [0, 0, -1, channels], np.int64)
    work.nodes.append(helper.make_node("Reshape", [name, shape], [reshaped]))
    return reshaped


def _convert(work: _Work, node: NodeProto) -> None:
    """The node with dequantised inputs, then its output as bytes where it has a range."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [work.ready.get(name, name) for name in node.input]
    output, source = node.output[0], work.scales.get(node.input[0]) if node.input else None
    found = work.ranges.get(output)
    if node.op_type == "Conv" and source is not None and is_plain_conv(node, work.weights):
        head = None if found is None or found.ndim == 1 else _head_scales(work, output, found)
        _quantise_weights(work, copy, source.step, head)
        work.nodes.append(copy)
        if head is not None:
            _end_head(work, output, *head)
            return
    elif output not in work.ready:
        work.nodes.append(copy)
    if node.op_type in _MOVING and source is not None:
        _pass_bytes(work, output, source)
    elif node.op_type in COMPUTING and found is not None and found.ndim == 1:
        step, zero = byte_scale(*found)
        _pass_bytes(work, output, _add_scale(work, output, step, zero))


def _pass_bytes(work: _Work, output: str, scale: _Scale) -> None:
    """The output as bytes; results that a paired first layer gives side by side become columns again."""
    stored, real = f"{_OURS}{output}/bytes", f"{_OURS}{output}/real"
    constants = [scale.step_name, scale.zero_name]
    work.nodes.append(helper.make_node("QuantizeLinear", [output, *constants], [stored]))
    if output in work.paired:
        last = _reshaped(work, _turned(work, stored, [0, 2, 3, 1]), work.paired[output])
        stored = _turned(work, last, [0, 3, 1, 2])
    work.nodes.append(helper.make_node("DequantizeLinear", [stored, *constants], [real]))
    work.scales[output], work.ready[output] = scale, real


def byte_scale(low: float, high: float) -> tuple[float, int]:
    """(step, zero byte) so that 0 is exact and low to high fits into 0 to 255."""
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    step = max((high - low) / _BYTE_MAX, 1e-8)
    return step, int(np.clip(round(-low / step), 0, _BYTE_MAX))


def _head_scales(work: _Work, output: str, ranges: NDArray[np.float64]) -> tuple[FloatArray, NDArray[np.uint8]]:
    """(steps, zero bytes), one per channel: each value of a head uses all 256 bytes for itself."""
    logits = _logit_channels(work, output, len(ranges))
    pairs = [byte_scale(max(low, LOGIT_MIN) if logit else low, high)
             for (low, high), logit in zip(ranges, logits, strict=True)]  # fmt: skip
    return np.array([step for step, _ in pairs], np.float32), np.array([zero for _, zero in pairs], np.uint8)


def _logit_channels(work: _Work, output: str, count: int) -> list[bool]:
    """Which channels of a head end in a Sigmoid."""
    split = work.readers[work.readers[output][0].output[0]][0]
    if split.op_type != "Split":
        return [_ends_in_sigmoid(work, output)] * count
    widths = work.weights[split.input[1]]
    return [_ends_in_sigmoid(work, part) for part, width in zip(split.output, widths, strict=True)
            for _ in range(int(width))]  # fmt: skip


def _ends_in_sigmoid(work: _Work, name: str) -> bool:
    while len(work.readers[name]) == 1:
        node = work.readers[name][0]
        if node.op_type not in ("Transpose", "Reshape"):
            return node.op_type == "Sigmoid"
        name = node.output[0]
    return False


def _end_head(work: _Work, output: str, steps: FloatArray, zeros: NDArray[np.uint8]) -> None:
    """The head's bytes, turned to channels-last, become real with one step and zero per channel."""
    whole, stored = _add_scale(work, output, 1.0, 0), f"{_OURS}{output}/bytes"
    work.nodes.append(helper.make_node("QuantizeLinear", [output, whole.step_name, whole.zero_name], [stored]))
    turn = work.readers[output][0]
    turned, real = f"{_OURS}{output}/turned", f"{_OURS}{output}/real"
    work.nodes.append(helper.make_node("Transpose", [stored], [turned], perm=[0, 2, 3, 1]))
    constants = [
        add_constant(work.graph, f"{_OURS}{output}/steps", steps, np.float32),
        add_constant(work.graph, f"{_OURS}{output}/zeros", zeros, np.uint8),
    ]
    work.nodes.append(helper.make_node("DequantizeLinear", [turned, *constants], [real], axis=3))
    work.ready[turn.output[0]] = real


def _add_scale(work: _Work, name: str, step: float, zero: int) -> _Scale:
    scale = add_constant(work.graph, f"{_OURS}{name}/step", step, np.float32)
    return _Scale(step, scale, add_constant(work.graph, f"{_OURS}{name}/zero", zero, np.uint8))


def _quantise_weights(
    work: _Work, conv: NodeProto, input_step: float, head: tuple[FloatArray, NDArray[np.uint8]] | None
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


def _dequantised(work: _Work, name: str, whole: NDArray[np.int8] | NDArray[np.int32], steps: FloatArray) -> str:
    kind = whole.dtype.type
    stored = add_constant(work.graph, f"{_OURS}{name}/whole", whole, kind)
    scale = add_constant(work.graph, f"{_OURS}{name}/steps", steps, np.float32)
    zeros = add_constant(work.graph, f"{_OURS}{name}/zeros", np.zeros(len(steps)), kind)
    real = f"{_OURS}{name}/real"
    work.nodes.append(helper.make_node("DequantizeLinear", [stored, scale, zeros], [real], axis=0))
    return real
