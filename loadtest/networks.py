"""Networks of SCRFD's published shapes with random weights: for speed only, where the weights are not at hand.

They find nothing; what they cost is what the real ones cost. Sources: insightface
detection/scrfd/configs/scrfd/scrfd_2.5g_bnkps.py, scrfd_10g_bnkps.py (arXiv 2105.04714).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.preparing.export import Export, inspect
from models.rewriting.surgery import to_serving_form
from models.served.anchors import STRIDES

OPSET = 17
#: Logit of every score: about 0.01, so that hardly an anchor passes a threshold.
QUIET_LOGIT = -4.6


@dataclass(frozen=True, slots=True)
class Shape:
    """ResNetV1e of BasicBlocks, PAFPN and a BN head not shared by strides.

    gmac: multiply-adds at 640×640 in 10⁹, for the test that the shape is right.
    """

    name: str
    blocks: tuple[int, int, int, int]
    planes: tuple[int, int, int, int]
    stem: tuple[int, int, int]
    neck: int
    head_convs: int
    head: int
    gmac: float


SHAPES = {
    "2.5g": Shape("2.5g", (3, 5, 3, 2), (24, 48, 48, 80), (12, 12, 24), 24, 2, 64, 3.428),
    "10g": Shape("10g", (3, 4, 2, 3), (56, 88, 88, 224), (28, 28, 56), 56, 3, 80, 13.341),
}


def random_scrfd(shape: Shape, side: int) -> ModelProto:
    """The network in serving form: uint8 BGR in, float32 heads with landmarks out, any batch."""
    export = random_export(shape, side)
    held = Export(export.SerializeToString(), export, (side, side))
    return to_serving_form(export, inspect(held, side, 1))


def random_export(shape: Shape, side: int, seed: int = 0) -> ModelProto:
    """The same as an export: (1, 3, side, side) float32 in, nine heads out."""
    graph = _Graph(np.random.default_rng(seed))
    levels = _backbone(graph, shape)
    outputs = _heads(graph, shape, _neck(graph, shape, levels))
    fed = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, side, side])
    columns = [width for width in (1, 4, 10) for _ in STRIDES]
    answers = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, f"anchors_{name}", width])
        for name, width in zip(outputs, columns, strict=True)
    ]
    body = helper.make_graph(graph.nodes, f"scrfd_{shape.name}_random", [fed], answers, graph.weights)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def multiply_adds(export: ModelProto) -> int:
    """Of all convolutions for one picture, counted from the shapes; of an export, whose sizes are known."""
    sized = onnx.shape_inference.infer_shapes(export)
    shapes = {value.name: value.type.tensor_type.shape.dim for value in sized.graph.value_info}
    weights = {tensor.name: tensor.dims for tensor in sized.graph.initializer}
    total = 0
    for node in sized.graph.node:
        if node.op_type == "Conv":
            out = [place.dim_value for place in shapes[node.output[0]]]
            assert all(out), f"the shape of {node.output[0]} is not known"
            total += int(np.prod(out)) * int(np.prod(weights[node.input[1]][1:]))
    return total


@dataclass
class _Graph:
    """Collects nodes and weights. Weights keep the size of what passes through, so that halves hold it."""

    random: np.random.Generator
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: Any) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(values), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def conv(
        self, source: str, planes: tuple[int, int], size: int = 3, stride: int = 1, gain: float = 1.0, bias: float = 0.0
    ) -> str:
        """planes: in and out."""
        inward, outward = planes
        spread = gain * np.sqrt(2 / (inward * size * size))
        weights = self.random.normal(0, spread, (outward, inward, size, size)).astype(np.float32)
        biases = np.full(outward, bias, np.float32)
        pad = size // 2
        return self.node(
            "Conv", source, self.constant(weights), self.constant(biases),
            kernel_shape=[size, size], strides=[stride, stride], pads=[pad] * 4,
        )  # fmt: skip

    def conv_relu(self, source: str, planes: tuple[int, int], stride: int = 1) -> str:
        return self.node("Relu", self.conv(source, planes, stride=stride))


def _backbone(graph: _Graph, shape: Shape) -> list[str]:
    """Features at strides 8, 16 and 32: the last three of four stages, behind a deep stem."""
    source, planes = "input", 3
    for index, width in enumerate(shape.stem):
        source, planes = graph.conv_relu(source, (planes, width), stride=2 if index == 0 else 1), width
    source = graph.node("MaxPool", source, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    features = []
    for stage, (count, width) in enumerate(zip(shape.blocks, shape.planes, strict=True)):
        for block in range(count):
            source = _block(graph, source, (planes, width), stride=2 if stage and not block else 1)
            planes = width
        features.append(source)
    return features[1:]


def _block(graph: _Graph, source: str, planes: tuple[int, int], stride: int) -> str:
    """BasicBlock; where it shrinks, the shortcut is an average and a 1×1 convolution."""
    inward, outward = planes
    inner = graph.conv_relu(source, planes, stride)
    inner = graph.conv(inner, (outward, outward), gain=0.3)
    if stride > 1:
        source = graph.node("AveragePool", source, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    if inward != outward or stride > 1:
        source = graph.conv(source, planes, size=1, gain=0.7)
    return graph.node("Relu", graph.node("Add", inner, source))


def _neck(graph: _Graph, shape: Shape, features: list[str]) -> list[str]:
    """PAFPN: top-down, then bottom-up."""
    width = (shape.neck, shape.neck)
    levels = [
        graph.conv(feature, (planes, shape.neck), size=1, gain=0.7)
        for feature, planes in zip(features, shape.planes[1:], strict=True)
    ]
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    for low in (1, 0):
        larger = graph.node(
            "Resize", levels[low + 1], "", scales,
            mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        )  # fmt: skip
        levels[low] = graph.node("Add", levels[low], larger)
    out = [graph.conv(level, width, gain=0.7) for level in levels]
    for low in (0, 1):
        out[low + 1] = graph.node("Add", out[low + 1], graph.conv(out[low], width, stride=2, gain=0.7))
    return [out[0], *(graph.conv(level, width, gain=0.7) for level in out[1:])]


def _heads(graph: _Graph, shape: Shape, levels: list[str]) -> list[str]:
    """Nine outputs: scores, boxes, landmarks, each by stride."""
    kinds: dict[str, list[str]] = {"score": [], "bbox": [], "kps": []}
    for level in levels:
        tower = level
        for index in range(shape.head_convs):
            tower = graph.conv_relu(tower, (shape.neck if index == 0 else shape.head, shape.head))
        score = graph.conv(tower, (shape.head, 2), gain=0.1, bias=QUIET_LOGIT)
        kinds["score"].append(graph.node("Sigmoid", _flat(graph, score, 1)))
        boxes = graph.node("Mul", graph.conv(tower, (shape.head, 8)), graph.constant(np.float32(1)))
        kinds["bbox"].append(_flat(graph, boxes, 4))
        kinds["kps"].append(_flat(graph, graph.conv(tower, (shape.head, 20)), 10))
    return [name for names in kinds.values() for name in names]


def _flat(graph: _Graph, source: str, columns: int) -> str:
    places = graph.node("Transpose", source, perm=[0, 2, 3, 1])
    return graph.node("Reshape", places, graph.constant(np.array([1, -1, columns], np.int64)))
