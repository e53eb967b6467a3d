"""A network for cut inputs answers as the network answers the whole square, or is refused in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.preparing.trimmed import black_features, largest_change
from models.proving.proof import ServingNetwork
from models.rewriting.black_edge import COLUMNS, ROWS, Edge, Untrimmable, with_black_edge

SIDE, PICTURE, CUT = 640, 160, 224
#: Of black before what the cut spoils; of it the network adds what it can.
MARGIN = 96
EDGE = Edge(spoiled_px=24, felt_px=29, added_px=64)
CHANNELS = 4


@dataclass
class Net:
    """A small network in serving form, with everything that SCRFD's have: residuals, two ways, three heads."""

    chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))
    mode: str = "nearest"
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.array(values, dtype), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output or f"t{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def conv(
        self, source: str, inward: int = CHANNELS, outward: int = CHANNELS, *, size: int = 3, step: int = 1
    ) -> str:
        weights = self.chance.normal(0.1, 0.5 / size, (outward, inward, size, size)) / inward
        biases = self.constant(self.chance.normal(0.2, 0.1, outward))
        pads = [(size - 1) // 2] * 4
        made = self.node(
            "Conv", source, self.constant(weights), biases, kernel_shape=[size] * 2, strides=[step] * 2, pads=pads
        )
        return self.node("Relu", made)

    def enlarged(self, source: str) -> str:
        scales = self.constant([1, 1, 2, 2])
        how = {"mode": self.mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", source, "", scales, **how)

    def head(self, source: str, stride: int) -> None:
        for kind, columns in (("score", 1), ("bbox", 4)):
            maps = self.conv(self.conv(source), outward=2 * columns)
            flat = self.node("Transpose", maps, perm=[0, 2, 3, 1])
            self.node("Reshape", flat, self.constant([0, -1, columns], np.int64), output=f"{kind}_{stride}")

    def model(self) -> ModelProto:
        outputs = [f"{kind}_{stride}" for kind in ("score", "bbox") for stride in (8, 16, 32)]
        graph = helper.make_graph(
            self.nodes,
            "test",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", "height", "width", 3])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", f"{name}_n", None]) for name in outputs],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model


def backbone(net: Net) -> tuple[str, str, str, str]:
    """Levels 8, 16, 32, and the first map at 8, of which nothing coarser is made."""
    pixels = net.node("Cast", net.node("Transpose", "images", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    pixels = net.node("Div", net.node("Sub", pixels, net.constant(127.5)), net.constant(128))
    level = net.conv(net.conv(pixels, inward=3, step=2))
    level = net.conv(net.conv(level, step=2))
    first = net.conv(level, step=2)
    eight = net.node("Add", first, net.conv(net.conv(first)))
    pooled = net.node("AveragePool", eight, kernel_shape=[2, 2], strides=[2, 2])
    sixteen = net.node("Add", pooled, net.conv(net.conv(eight, size=5, step=2)))
    return eight, sixteen, net.conv(net.conv(sixteen, step=2)), first


def network(**changes: Any) -> ModelProto:
    net = Net()
    *levels, first = backbone(net)
    if changes.get("pooled"):
        levels[2] = net.node("Mul", levels[2], net.node("GlobalAveragePool", levels[2]))
    if changes.get("even"):
        levels[2] = net.conv(levels[2], size=4)
    if changes.get("smooth"):
        net.mode = "linear"
    if changes.get("steps"):
        levels[0] = net.enlarged(net.enlarged(net.conv(levels[0], step=4)))
    if changes.get("joined"):
        both = net.node("Concat", levels[1], net.conv(levels[1], size=1), axis=1)
        levels[1] = net.conv(both, inward=2 * CHANNELS, size=1)
    for low in (1, 0):
        levels[low] = net.conv(net.node("Add", levels[low], net.enlarged(levels[low + 1])))
    for high in (1, 2):
        levels[high] = net.node("Add", levels[high], net.conv(levels[high - 1], step=2))
    if changes.get("alone"):
        levels[0] = first
    for stride, level in zip((8, 16, 32), levels, strict=True):
        net.head(level, stride)
    return net.model()


def features(axis: int) -> Any:
    return lambda served, names: black_features(served, names, axis=axis, side=SIDE)


def part_of(array: np.ndarray, axis: int, length: int) -> np.ndarray:
    """The first `length` of (batch, height, width, …) along the axis, where a map has it second or third."""
    return np.ascontiguousarray(array[:, :length] if axis == ROWS else array[:, :, :length])


def inside(answers: list[np.ndarray], size: tuple[int, int], axis: int) -> list[np.ndarray]:
    """What the network says of the picture's own cells, per output."""
    found = []
    for index, answer in enumerate(answers):
        stride = (8, 16, 32)[index % 3]
        cells = answer.reshape(len(answer), size[0] // stride, size[1] // stride, -1)
        found.append(part_of(cells, axis, -(-PICTURE // stride)))
    return found


@pytest.mark.parametrize("joined", [False, True], ids=["", "joined"])
@pytest.mark.parametrize("axis", [ROWS, COLUMNS], ids=["rows", "columns"])
def test_of_the_picture_it_says_what_the_network_says_of_the_whole_square(axis: int, joined: bool) -> None:
    model = network(joined=joined)
    trimmed, edge = with_black_edge(model, axis, features(axis), MARGIN)
    assert edge == EDGE
    squares = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    shape = (2, PICTURE, SIDE, 3) if axis == ROWS else (2, SIDE, PICTURE, 3)
    squares[:, : shape[1], : shape[2]] = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    parts = part_of(squares, axis, CUT)
    # Shown as much as the other answers for by itself, the network still feels the cut.
    longer = part_of(squares, axis, CUT + edge.added_px)
    size = longer.shape[1:3]
    whole = inside(ServingNetwork(model.SerializeToString()).run(squares), (SIDE, SIDE), axis)
    found = inside(ServingNetwork(trimmed.SerializeToString()).run(parts), size, axis)
    plain = inside(ServingNetwork(model.SerializeToString()).run(longer), size, axis)
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert max(float(np.abs(one - other).max()) for one, other in zip(plain, whole, strict=True)) > 1e-3


def test_it_adds_no_more_black_than_is_black_on_every_fine_grid() -> None:
    # Spoiled: 1 row at half resolution, 1 + 1 at a quarter, then ⌊(2 + 1) / 2⌋ = 1 and two more at stride 8.
    # Felt: 1 + 2 + 2 + 4 + 4 + 8 + 8 pixels.
    assert with_black_edge(network(), ROWS, features(ROWS), MARGIN)[1] == EDGE
    assert with_black_edge(network(), ROWS, features(ROWS), 60)[1] == Edge(spoiled_px=24, felt_px=29, added_px=0)


def test_a_head_of_fine_grids_alone_is_refused() -> None:
    with pytest.raises(Untrimmable, match="fine grids alone"):
        with_black_edge(network(alone=True), ROWS, features(ROWS), MARGIN)


@pytest.mark.parametrize(
    ("change", "words"),
    [("pooled", "GlobalAveragePool"), ("even", "uncommon shape"), ("steps", "uncommon shape"), ("smooth", "Resize")],
)
def test_what_looks_farther_than_can_be_told_is_refused(change: str, words: str) -> None:
    with pytest.raises(Untrimmable, match=words):
        with_black_edge(network(**{change: True}), ROWS, features(ROWS), MARGIN)


def test_the_network_given_stays_as_it_is() -> None:
    model = network()
    before = model.SerializeToString()
    with_black_edge(model, ROWS, features(ROWS), MARGIN)
    assert model.SerializeToString() == before


def test_the_largest_change_is_of_the_nearest_face() -> None:
    faces = np.array([[0, 0, 10, 10, 0.9], [50, 50, 60, 60, 0.5]], np.float32)
    moved = faces[::-1] + np.array([0, 0, 0, 2, 0.25], np.float32)
    assert largest_change(faces, moved) == (0.25, 2.0)
    assert largest_change(faces[:0], moved) == (0.0, 0.0)
    assert largest_change(faces, moved[:0]) == (float("inf"), float("inf"))
