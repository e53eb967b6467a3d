"""Small SCRFD-shaped networks for tests: quick stand-ins whose answers depend on the pixels in a known way.

`beacon_network` writes a model file in the form of an official export. It finds beacons: `beacon_picture`
paints a small dot on black for each face you ask for, and the network answers with a face of exactly that
place, size and score (see `beacon_faces` for the expected numbers). It runs in about 2 ms at 640×640 and far
under 1 ms at 64×64, so that whole-service tests need no real weights. What to know:

- Send beacon pictures losslessly (PNG, BMP): the dot's colour carries score and size.
- Sizes and scores are rounded to 1/255 of the longer side and of one. Places are exact to 0.01 px where the
  picture is as large as the input, and to half an input pixel where it is scaled.
- Faces under 48 px of the network's input answer at stride 8, under 160 px at 16, larger ones at 32.
- Dots must be 32 input pixels apart, 64 where one belongs to a face of 48 px or more.
- Each face brings a second candidate of half its score and the same box, for NMS to remove.
- On the canary picture it finds exactly one face for sides from 192 to 640 (its dot is lost in others).
  On photographs it finds, as a rule, nothing.

`random_network` has random weights and every form that exports come in (`Form`): for preparing, not for finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from models.served.anchors import STRIDES

#: Face sides in input pixels at which the beacon network changes from stride 8 to 16 and from 16 to 32.
LEVEL_LIMITS = (48.0, 160.0)
#: Side of a dot in input pixels.
DOT = 5
LANDMARK_OFFSETS = ((-0.2, -0.2), (0.2, -0.2), (0.0, 0.05), (-0.15, 0.25), (0.15, 0.25))

#: x, y of the middle, side of the square box, score; picture pixels.
Beacon = tuple[float, float, float, float]


@dataclass(frozen=True)
class Form:
    """How an export looks from outside; the defaults are those of the official 640×640 exports.

    fixed_size, fixed_batch: whether the input declares them. rank: of the outputs; 2 merges batch and anchors.
    reshape: "constant" [1, -1, C], "computed" from Shape → Gather → Concat, "baked" with the anchors counted.
    names: "plain", "numbers" as old exporters give, or "clashing" with the names of the serving form.
    order: "kind" as the reference expects (scores, boxes, landmarks), or "level" (all of stride 8 first).
    """

    side: int = 640
    fixed_size: bool = True
    fixed_batch: bool = True
    rank: Literal[2, 3] = 3
    landmarks: bool = True
    reshape: Literal["constant", "computed", "baked"] = "constant"
    names: Literal["plain", "numbers", "clashing"] = "plain"
    order: Literal["kind", "level"] = "kind"
    opset: int = 11


def beacon_network(path: Path, *, side: int = 640, landmarks: bool = True, **form: Any) -> Path:
    """Writes the beacon network to `path` and returns it; further arguments are those of `Form`."""
    wanted = Form(side=side, landmarks=landmarks, **form)
    graph = _Graph(wanted.opset)
    pixels = graph.node("Mul", _input_name(wanted), graph.constant(np.float32(128 / 255)))
    pixels = graph.node("Add", pixels, graph.constant(np.float32(0.5)))
    moments = graph.node("Conv", pixels, graph.constant(_cell_moments()), strides=[8, 8])
    peaks = graph.node("MaxPool", pixels, kernel_shape=[8, 8], strides=[8, 8])
    peaks = graph.node("Gather", peaks, graph.constant(np.array([2], np.int64)), axis=1)
    side_in = _side(graph, wanted)
    dots = _dots(graph, moments, peaks, side_in)
    heads = {stride: _beacon_level(graph, moments, dots[stride], side_in, stride) for stride in STRIDES}
    return _write(path, graph, wanted, heads)


def beacon_picture(faces: Sequence[Beacon], width: int = 640, height: int = 480, side: int = 640) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 BGR, black, with one dot per face, for a network input of `side`."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    dot, longer = _dot(width, height, side), max(width, height)
    for x, y, size, score in faces:
        left, top = round(x - dot / 2), round(y - dot / 2)
        assert 0 <= left <= width - dot, f"the dot of a face at x {x} is outside the picture"
        assert 0 <= top <= height - dot, f"the dot of a face at y {y} is outside the picture"
        picture[top : top + dot, left : left + dot] = (255, round(255 * size / longer), round(255 * score))
    return picture


def beacon_faces(
    faces: Sequence[Beacon], width: int = 640, height: int = 480, side: int = 640
) -> list[tuple[list[float], float]]:
    """What the network answers for `beacon_picture` of the same arguments: ([x1, y1, x2, y2], score), best first."""
    dot, longer = _dot(width, height, side), max(width, height)
    expected = []
    for x, y, size, score in faces:
        half = round(255 * size / longer) / 255 * longer / 2
        cx, cy = round(x - dot / 2) + dot / 2, round(y - dot / 2) + dot / 2
        expected.append(([cx - half, cy - half, cx + half, cy + half], round(255 * score) / 255))
    return sorted(expected, key=lambda face: -face[1])


def _dot(width: int, height: int, side: int) -> int:
    """Side of a dot in picture pixels."""
    return max(2, round(DOT * max(width, height) / side))


def random_network(
    path: Path,
    form: Form | None = None,
    *,
    seed: int = 0,
    channels: int = 8,
    resize: Literal["scales", "computed", "baked"] = "scales",
    sigmoid: Literal["before", "after"] = "after",
    contaminated: bool = False,
) -> Path:
    """Writes a tiny SCRFD with random weights: stem, three levels, a top-down path, nine or six heads.

    resize: by a factor, to a size computed from shapes, or to a baked size. sigmoid: before or after the Reshape.
    contaminated: subtracts the mean over the batch, so that neighbours change each other's answers.
    """
    wanted = form or Form()
    graph = _Graph(wanted.opset, np.random.default_rng(seed))
    level = _input_name(wanted)
    features = []
    for index in range(5):
        level = graph.node("Relu", graph.conv(level, 3 if index == 0 else channels, channels, stride=2))
        if index == 1 and contaminated:
            level = graph.node("Sub", level, graph.mean_over_batch(level))
        features.append(level)
    levels = features[2:]
    for low in (1, 0):
        larger = _enlarged(graph, levels[low + 1], levels[low], resize, wanted.side // STRIDES[low], channels)
        levels[low] = graph.node("Add", levels[low], larger)
    heads = {}
    for stride, feature in zip(STRIDES, levels, strict=True):
        score = graph.conv(feature, channels, 2)
        score = graph.node("Sigmoid", score) if sigmoid == "before" else score
        heads[stride] = (score, graph.conv(feature, channels, 8), graph.conv(feature, channels, 20))
    return _write(path, graph, wanted, heads, sigmoid_after=sigmoid == "after")


def bake_side(path: Path, side: int) -> None:
    """Gives the network at `path` an operator that knows its size: the first feature map, cut out whole by numbers."""
    model = onnx.load(path)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    inner, relu.output[0] = relu.output[0], "whole"
    places = [("from", [0, 0]), ("to", [side // 2, side // 2]), ("axes", [2, 3])]
    model.graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in places)
    cut = helper.make_node("Slice", ["whole", "from", "to", "axes"], [inner])
    model.graph.node.insert(list(model.graph.node).index(relu) + 1, cut)
    onnx.save(model, path)


@dataclass
class _Graph:
    """Collects nodes and weights under fresh names."""

    opset: int
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)
    counter: int = 100

    def name(self) -> str:
        self.counter += 1
        return str(self.counter)

    def constant(self, values: Any) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(values), self.name()))
        return self.weights[-1].name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or self.name()
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def conv(self, source: str, inward: int, outward: int, stride: int = 1) -> str:
        spread = 1 / np.sqrt(9 * inward)
        weights = self.random.normal(0, spread, (outward, inward, 3, 3)).astype(np.float32)
        bias = self.random.normal(0, 0.3, outward).astype(np.float32)
        return self.node(
            "Conv", source, self.constant(weights), self.constant(bias), strides=[stride, stride], pads=[1, 1, 1, 1]
        )

    def unsqueezed(self, source: str) -> str:
        if self.opset < 13:
            return self.node("Unsqueeze", source, axes=[0])
        return self.node("Unsqueeze", source, self.constant(np.array([0], np.int64)))

    def mean_over_batch(self, source: str) -> str:
        if self.opset < 18:
            return self.node("ReduceMean", source, axes=[0], keepdims=1)
        return self.node("ReduceMean", source, self.constant(np.array([0], np.int64)), keepdims=1)

    def side_of(self, source: str, axis: int) -> str:
        """One side of a tensor as a scalar, the way exporters write it."""
        return self.node("Gather", self.node("Shape", source), self.constant(np.int64(axis)), axis=0)


def _input_name(form: Form) -> str:
    return {"plain": "input.1", "numbers": "0", "clashing": "images"}[form.names]


def _side(graph: _Graph, form: Form) -> str:
    """The input's side in pixels, as a float; computed where the size is free."""
    if form.fixed_size:
        return graph.constant(np.float32(form.side))
    return graph.node("Cast", graph.side_of(_input_name(form), 3), to=TensorProto.FLOAT)


def _cell_moments() -> NDArray[np.float32]:
    """(5, 3, 8, 8) over RGB: sums over a cell of blue, blue·x, blue·y, red, green; x y from its top left corner."""
    places = np.arange(8, dtype=np.float32) + 0.5
    weights = np.zeros((5, 3, 8, 8), dtype=np.float32)
    weights[0, 2] = 1
    weights[1, 2] = places[None, :]
    weights[2, 2] = places[:, None]
    weights[3, 0] = 1
    weights[4, 1] = 1
    return weights


def _window_moments(cells: int) -> NDArray[np.float32]:
    """(5, 5, cells, cells): moments of a window one cell wider on each side, about the inner top left corner."""
    weights = np.zeros((5, 5, cells, cells), dtype=np.float32)
    for moment in range(5):
        weights[moment, moment] = 1
    offsets = 8 * (np.arange(cells, dtype=np.float32) - 1)
    weights[1, 0] = offsets[None, :]
    weights[2, 0] = offsets[:, None]
    return weights


def _window(graph: _Graph, moments: str, side: str, stride: int) -> tuple[str, str, str]:
    """(mass; x, y, score, size means; size in pixels) around each cell of a level, one small cell wider."""
    step = stride // 8
    sums = graph.node(
        "Conv", moments, graph.constant(_window_moments(step + 2)), strides=[step, step], pads=[1, 1, 1, 1]
    )
    mass, rest = _split(graph, sums, [0]), _split(graph, sums, [1, 2, 3, 4])
    means = graph.node("Div", rest, graph.node("Add", mass, graph.constant(np.float32(1e-6))))
    return mass, means, graph.node("Mul", _split(graph, means, [3]), side)


def _dots(graph: _Graph, moments: str, peaks: str, side: str) -> dict[int, str]:
    """Per stride a map of small cells: 1 where a lone dot stands whose face belongs to that level, else 0."""
    mass, _, size = _window(graph, moments, side, 8)
    lone = graph.node("Mul", _over(graph, peaks, 0.975, 100), _over(graph, mass, 100, -1))
    low, high = LEVEL_LIMITS
    middle = graph.node("Mul", _over(graph, size, low, 10), _over(graph, size, high, -10))
    gates = {8: _over(graph, size, low, -10), 16: middle, 32: _over(graph, size, high, 10)}
    return {stride: graph.node("Mul", lone, gate) for stride, gate in gates.items()}


def _beacon_level(graph: _Graph, moments: str, dots: str, side: str, stride: int) -> tuple[str, str, str]:
    """(scores, boxes, landmarks) maps of one level: (N, 2 | 8 | 20, H/stride, W/stride)."""
    step = stride // 8
    _, means, size = _window(graph, moments, side, stride)
    fires = graph.node("MaxPool", dots, kernel_shape=[step, step], strides=[step, step]) if step > 1 else dots
    score = graph.node("Mul", _split(graph, means, [2]), fires)
    known = graph.node("Concat", _split(graph, means, [0, 1]), size, axis=1)
    return (
        graph.node("Conv", score, graph.constant(np.array([1, 0.5], np.float32).reshape(2, 1, 1, 1))),
        graph.node("Conv", known, graph.constant(_box_weights() / np.float32(stride))),
        graph.node("Conv", known, graph.constant(_landmark_weights() / np.float32(stride))),
    )


def _split(graph: _Graph, source: str, channels: list[int]) -> str:
    return graph.node("Gather", source, graph.constant(np.array(channels, np.int64)), axis=1)


def _over(graph: _Graph, source: str, limit: float, slope: float) -> str:
    """About a step from 0 to 1 at the limit; downwards where the slope is negative."""
    steep = graph.node(
        "Mul", graph.node("Sub", source, graph.constant(np.float32(limit))), graph.constant(np.float32(slope))
    )
    return graph.node("Clip", steep, graph.constant(np.float32(0)), graph.constant(np.float32(1)))


def _box_weights() -> NDArray[np.float32]:
    """(8, 3, 1, 1) from (x, y, size) to left, top, right, bottom distances, for both anchors."""
    rows = [[-1, 0, 0.5], [0, -1, 0.5], [1, 0, 0.5], [0, 1, 0.5]]
    return np.array(rows * 2, np.float32).reshape(8, 3, 1, 1)


def _landmark_weights() -> NDArray[np.float32]:
    rows = [row for dx, dy in LANDMARK_OFFSETS for row in ([1, 0, dx], [0, 1, dy])]
    return np.array(rows * 2, np.float32).reshape(20, 3, 1, 1)


def _enlarged(graph: _Graph, small: str, like: str, resize: str, cells: int, channels: int) -> str:
    """`small` at twice its size."""
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    none = graph.constant(np.array([], np.float32))
    if resize == "scales":
        return graph.node("Resize", small, none, graph.constant(np.array([1, 1, 2, 2], np.float32)), **how)
    if resize == "baked":
        sizes = graph.constant(np.array([1, channels, cells, cells], np.int64))
        return graph.node("Resize", small, none, none, sizes, **how)
    sides = [graph.unsqueezed(graph.side_of(like, axis)) for axis in (2, 3)]
    first = graph.node("Slice", graph.node("Shape", small), *(graph.constant(np.array([n], np.int64)) for n in (0, 2)))
    return graph.node("Resize", small, none, none, graph.node("Concat", first, *sides, axis=0), **how)


def _write(
    path: Path, graph: _Graph, form: Form, heads: dict[int, tuple[str, str, str]], *, sigmoid_after: bool = False
) -> Path:
    """Adds the exporter's ending to each head, orders and names the outputs, and saves."""
    kinds = [("score", 1), ("bbox", 4), ("kps", 10)][: 3 if form.landmarks else 2]
    keys = [(kind, stride) for kind in range(len(kinds)) for stride in STRIDES]
    if form.order == "level":
        keys = [(kind, stride) for stride in STRIDES for kind in range(len(kinds))]
    outputs = []
    for number, (kind, stride) in enumerate(keys):
        name, columns = kinds[kind]
        output = _output_name(form, name, stride, number)
        squashed = sigmoid_after and kind == 0
        flat = _flattened(graph, form, heads[stride][kind], columns, stride, "" if squashed else output)
        if squashed:
            graph.node("Sigmoid", flat, output=output)
        outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, _declared(form, columns, stride)))
    sides: list[int | str] = [form.side, form.side] if form.fixed_size else ["height", "width"]
    shape = [1 if form.fixed_batch else "batch", 3, *sides]
    given = helper.make_tensor_value_info(_input_name(form), TensorProto.FLOAT, shape)
    body = helper.make_graph(graph.nodes, "test", [given], outputs, graph.weights)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", form.opset)], ir_version=6)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def _output_name(form: Form, kind: str, stride: int, number: int) -> str:
    if form.names == "clashing":
        # The serving form's own names, each on the wrong output.
        other = (
            {"score": "kps", "bbox": "score", "kps": "bbox"} if form.landmarks else {"score": "bbox", "bbox": "score"}
        )
        return f"{other[kind]}_{stride}"
    return f"out{number}" if form.names == "plain" else str(900 + number)


def _declared(form: Form, columns: int, stride: int) -> list[int | str]:
    anchors: int | str = 2 * (form.side // stride) ** 2 if form.fixed_size and form.fixed_batch else f"a{stride}"
    return [anchors, columns] if form.rank == 2 else [1 if form.fixed_batch else "batch", anchors, columns]


def _flattened(graph: _Graph, form: Form, head: str, columns: int, stride: int, output: str) -> str:
    """(N, 2·C, h, w) → the rank and kind of Reshape of the form."""
    turned = graph.node("Transpose", head, perm=[0, 2, 3, 1])
    anchors = 2 * (form.side // stride) ** 2 if form.reshape == "baked" else -1
    if form.rank == 2:
        shape = graph.constant(np.array([anchors, columns], np.int64))
    elif form.reshape == "computed":
        batch = graph.unsqueezed(graph.side_of(head, 0))
        rest = [graph.constant(np.array([side], np.int64)) for side in (-1, columns)]
        shape = graph.node("Concat", batch, *rest, axis=0)
    else:
        batch_side = 1 if form.fixed_batch else 0
        shape = graph.constant(np.array([batch_side, anchors, columns], np.int64))
    return graph.node("Reshape", turned, shape, output=output)


def forms() -> dict[str, Form]:
    """Exports in every variant, by a name for test ids; small, so that preparing them is quick."""
    official = Form(side=64)
    return {
        "fixed, constant shapes": official,
        "fixed, computed shapes": replace(official, reshape="computed", opset=12),
        "fixed, baked shapes": replace(official, reshape="baked"),
        "pack: dynamic size, rank 2": replace(official, fixed_size=False, rank=2, names="numbers"),
        "fixed, rank 2, baked": replace(official, rank=2, reshape="baked"),
        "dynamic batch and size": replace(official, fixed_size=False, fixed_batch=False, reshape="computed"),
        "dynamic batch, merged outputs": replace(official, fixed_batch=False, rank=2),
        "no landmarks": replace(official, landmarks=False),
        "no landmarks, rank 2, dynamic size": replace(official, landmarks=False, rank=2, fixed_size=False),
        "names that clash": replace(official, names="clashing"),
        "names that clash, no landmarks": replace(official, names="clashing", landmarks=False),
        "outputs level by level": replace(official, order="level"),
        "opset 13": replace(official, opset=13, reshape="computed"),
        "opset 17": replace(official, opset=17, fixed_size=False),
    }
