"""The network for an input that is cut short where only black would follow. This file alone knows that surgery.

A convolution pads with zeros, which is not what black becomes after some layers, so that a network shown a part of its
input answers differently near the cut, and by stride 32 everywhere. Here it is given what it would have computed of
black: as far as the last fine grid the cut edge spoils some rows; there they are replaced, and from there on every
convolution gets black's own features at that edge instead of zeros. Fine grids feel a picture over few pixels, so that
more black can be added where they are mended than was shown. What differs from the whole square is then only what the
picture itself does to the black beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from models.rewriting.cheaper import attributes_of, weights_of
from models.rewriting.graphs import add_constant, copied
from models.served.trim import STEP
from shared.faces import FloatArray

#: Axes of a feature map (N, C, H, W) along which an input may be cut.
ROWS, COLUMNS = 2, 3
#: What black becomes: tensor names → (1, C, 1, W) far from top and bottom, or (1, C, H, 1) far from both sides.
BlackFeatures = Callable[[ModelProto, Sequence[str]], dict[str, FloatArray]]

#: The first halving of a grid that is spoiled this many input pixels deep has it mended.
_MENDED_FROM = 16
#: Heads of these strides keep their zeros: their few convolutions spoil less than the margin, and nothing reads on.
_FINE_HEADS = (8, 16)
_OURS = "face_api/black/"
_BATCH = f"{_OURS}batch"
_LEVEL = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Exp", "Mul", "Add", "Sub", "Div",
     "Cast", "Identity", "BatchNormalization"}
)  # fmt: skip
_OF_AXES = frozenset({"Gather", "Concat"})  # level where their axis is the channels'
_POOLS = frozenset({"MaxPool", "AveragePool"})
_TO_PLANES = [0, 3, 1, 2]
_STEP_MAX = 2


class Untrimmable(Exception):
    """Why a network has no form for a cut input, in words."""


@dataclass(frozen=True, slots=True)
class _Map:
    """A feature map: input pixels per cell, cells at the cut edge that are wrong, whether it was mended before, and
    over how many input pixels the picture is felt in the black beside it.
    """

    stride: int
    spoiled: int = 0
    mended: bool = False
    felt_px: int = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """What a form for cut inputs is like, in input pixels.

    spoiled_px: how far from the cut cells are wrong before they are mended. felt_px: how far from the picture cells
    are not black's there. added_px: black that the network adds by itself where it mends, so that it answers for an
    input so much longer.
    """

    spoiled_px: int = 0
    felt_px: int = 0
    added_px: int = 0


@dataclass
class _Rewriting:
    """One walk through a graph, in its order. constants: tensors that are the same for every input."""

    graph: GraphProto
    axis: int
    added_px: int
    constants: Mapping[str, NDArray[np.generic]]
    maps: dict[str, _Map]
    #: tensor → the outputs' strides that it reaches
    reaches: dict[str, set[str]]
    nodes: list[NodeProto] = field(default_factory=list)
    #: tensor → its mended self
    mended: dict[str, str] = field(default_factory=dict)
    #: tensor of ours → the tensor of the network whose features it has
    origins: dict[str, str] = field(default_factory=dict)
    #: tensor of ours → (tensor of the network, cells of black behind it)
    black: dict[str, tuple[str, int]] = field(default_factory=dict)
    spoiled_px: int = 0
    felt_px: int = 0

    def visit(self, node: NodeProto) -> None:
        sources = [name for name in node.input if name in self.maps]
        if sources:
            self._mend_where_needed(node, sources)
            node.input[:] = [self.mended.get(name, name) for name in node.input]
            made = self._made(node, [self.maps[name] for name in node.input if name in self.maps])
            if made is not None:
                self.maps.update(dict.fromkeys(node.output, made))
                if not self._in_fine_head(node, made):
                    self.spoiled_px = max(self.spoiled_px, made.spoiled * made.stride)
        self.nodes.append(node)

    def _mend_where_needed(self, node: NodeProto, sources: list[str]) -> None:
        maps = [self.maps[self.mended.get(name, name)] for name in sources]
        halves = _step(node) > 1 and max(one.spoiled * one.stride for one in maps) >= _MENDED_FROM
        if not halves and not any(one.mended for one in maps):
            return
        for name in sources:
            one = self.maps[name]
            if not one.mended and name not in self.mended:
                self.felt_px = max(self.felt_px, one.felt_px)
                self.mended[name] = self._with_black(name, self.added_px // one.stride)
                self.maps[self.mended[name]] = _Map(one.stride, mended=True)

    def _made(self, node: NodeProto, sources: list[_Map]) -> _Map | None:
        """The map that a node makes; None where maps end."""
        first = sources[0]
        if node.op_type == "Conv" or node.op_type in _POOLS:
            return self._convolved(node, first)
        if node.op_type == "Transpose":
            if list(attributes_of(node)["perm"]) == _TO_PLANES:
                return first
            if self.added_px and not first.mended:
                raise Untrimmable("a head of it is made of fine grids alone")
            return None
        if node.op_type == "Resize" and self._doubles(node) and first.stride > 1:
            return _Map(first.stride // 2, first.spoiled * 2, first.mended, first.felt_px)
        of_channels = node.op_type in _OF_AXES and attributes_of(node).get("axis") == 1
        level = node.op_type in _LEVEL or of_channels
        if not level or not all(name in self.maps or name in self.constants for name in node.input if name):
            raise Untrimmable(f"its {node.op_type} may look beyond its place")
        if len({one.stride for one in sources}) > 1:
            raise Untrimmable(f"its {node.op_type} joins grids of different strides")
        return _Map(
            first.stride,
            max(one.spoiled for one in sources),
            any(one.mended for one in sources),
            max(one.felt_px for one in sources),
        )

    def _convolved(self, node: NodeProto, source: _Map) -> _Map:
        reach, step = _reach(node, self.constants), _step(node)
        felt_px = source.felt_px + reach * source.stride
        made = _Map(source.stride * step, (source.spoiled + reach) // step, source.mended, felt_px)
        if not made.mended or not made.spoiled:
            return made
        if not self._in_fine_head(node, made):
            if node.op_type != "Conv":
                raise Untrimmable(f"its {node.op_type} reaches beyond the cut")
            node.input[0] = self._with_black(node.input[0], reach)
            next(one for one in node.attribute if one.name == "pads").ints[self.axis] = 0
        return _Map(made.stride, mended=True)

    def _doubles(self, node: NodeProto) -> bool:
        scales = self.constants.get(node.input[2]) if len(node.input) == 3 else None
        return scales is not None and scales.tolist() == [1, 1, 2, 2] and attributes_of(node).get("mode") == b"nearest"

    def _in_fine_head(self, node: NodeProto, made: _Map) -> bool:
        """Whether this belongs to a head whose last cells may be wrong."""
        return made.stride in _FINE_HEADS and len(self.reaches[node.output[0]]) == 1

    def _with_black(self, name: str, more: int) -> str:
        """The map with its spoiled cells replaced by black's and `more` behind them."""
        spoiled = self.maps[name].spoiled
        made = f"{_OURS}{name}/{more}"
        if spoiled + more == 0:
            return name
        if made in self.black:
            return made
        self.origins[made] = self.origins.get(name, name)
        self.black[made] = self.origins[made], spoiled + more
        kept = name
        if spoiled:
            kept = f"{made}/kept"
            limits = [
                add_constant(self.graph, f"{made}/{word}", [value], np.int64)
                for word, value in (("from", 0), ("to", -spoiled), ("axis", self.axis))
            ]
            self.nodes.append(helper.make_node("Slice", [name, *limits], [kept]))
        self.nodes.append(helper.make_node("Expand", [f"{made}/cells", _BATCH], [f"{made}/batch"]))
        self.nodes.append(helper.make_node("Concat", [kept, f"{made}/batch"], [made], axis=self.axis))
        return made


def with_black_edge(served: ModelProto, axis: int, features: BlackFeatures, margin_px: int) -> tuple[ModelProto, Edge]:
    """The serving form for inputs cut along `axis`, which keep `margin_px` of black before what the cut spoils.

    As much of that as is black's on every fine grid anyway is added by the network. For squares of the side that
    `features` speaks of, cut to a multiple of 32. Raises Untrimmable.
    """
    black, edge = _rewritten(copied(served), axis, 0)
    spare_px = margin_px - edge.felt_px if black else 0
    trimmed = copied(served)
    black, edge = _rewritten(trimmed, axis, max(0, spare_px // STEP * STEP))
    values = features(served, sorted({origin for origin, _ in black.values()}))
    for made, (origin, cells) in black.items():
        add_constant(trimmed.graph, f"{made}/cells", np.repeat(values[origin], cells, axis), np.float32)
    return trimmed, edge


def _rewritten(trimmed: ModelProto, axis: int, added_px: int) -> tuple[dict[str, tuple[str, int]], Edge]:
    """Rewrites the graph but for black's features: which are wanted, as in `_Rewriting.black`."""
    graph = trimmed.graph
    images = graph.input[0].name
    rewriting = _Rewriting(graph, axis, added_px, _constants(graph), {images: _Map(1)}, _reaches(graph))
    for node in list(graph.node):
        rewriting.visit(node)
    del graph.node[:]
    graph.node.extend([*_batch_shape(graph, images), *rewriting.nodes])
    return rewriting.black, Edge(rewriting.spoiled_px, rewriting.felt_px, added_px)


def _constants(graph: GraphProto) -> dict[str, NDArray[np.generic]]:
    constants: dict[str, NDArray[np.generic]] = {**weights_of(graph)}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return constants


def _batch_shape(graph: GraphProto, images: str) -> list[NodeProto]:
    """(batch, 1, 1, 1), to repeat black's features as often as there are pictures."""
    first = add_constant(graph, f"{_BATCH}/first", [0], np.int64)
    ones = add_constant(graph, f"{_BATCH}/ones", [1, 1, 1], np.int64)
    return [
        helper.make_node("Shape", [images], [f"{_BATCH}/shape"]),
        helper.make_node("Gather", [f"{_BATCH}/shape", first], [f"{_BATCH}/count"]),
        helper.make_node("Concat", [f"{_BATCH}/count", ones], [_BATCH], axis=0),
    ]


def _reaches(graph: GraphProto) -> dict[str, set[str]]:
    """tensor → the strides of the outputs that are made of it."""
    reaches = {output.name: {output.name.split("_")[1]} for output in graph.output}
    for node in reversed(graph.node):
        found = set[str]().union(*(reaches.get(name, ()) for name in node.output))
        for name in node.input:
            reaches.setdefault(name, set()).update(found)
    return reaches


def _step(node: NodeProto) -> int:
    """By how much a convolution or pool coarsens its grid."""
    if node.op_type != "Conv" and node.op_type not in _POOLS:
        return 1
    return int(attributes_of(node).get("strides", [1])[0])


def _reach(node: NodeProto, constants: Mapping[str, NDArray[np.generic]]) -> int:
    """Cells beyond its own that a convolution or pool reads at the cut edge. Raises Untrimmable for uncommon ones."""
    convolves = node.op_type == "Conv"
    found = {"pads": [0] * 4, "strides": [1, 1], "dilations": [1, 1], "auto_pad": b"NOTSET"} | attributes_of(node)
    if convolves and node.input[1] not in constants:
        raise Untrimmable("a convolution's weights are computed")
    kernel = list(constants[node.input[1]].shape[2:]) if convolves else found["kernel_shape"]
    size, step = kernel[0], found["strides"][0]
    padding = (size - 1) // 2 if convolves else found["pads"][0]
    # Whether a pool rounds up makes no difference where every side is even.
    common = (
        kernel == [size] * 2
        and found["pads"] == [padding] * 4
        and found["strides"] == [step] * 2
        and found["dilations"] == [1, 1]
        and found["auto_pad"] == b"NOTSET"
        and step <= _STEP_MAX
        and not (convolves and size % 2 == 0)
    )
    if not common:
        raise Untrimmable(f"its {node.op_type} is of an uncommon shape")
    return int(size - 1 - padding)
