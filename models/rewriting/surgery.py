"""Rewrites the graph of an SCRFD export into the serving form. This file alone knows what is changed in a graph.

Whether the result still answers alike is proven elsewhere (`models/proving/proof.py`);
nothing here is trusted for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.rewriting.cheaper import CHEAPER_OPSET, make_cheaper
from models.rewriting.graphs import (
    add_constant,
    copied,
    drop_unused,
    names_used,
    opset_of,
    real_inputs,
    rename,
    whole_constants,
    with_newer_opset,
)
from models.served.anchors import BOX_COLUMNS, LANDMARK_COLUMNS, SCORE_COLUMNS, output_names
from models.served.facts import METADATA_FORM, SERVING_FORM
from shared.errors import ConfigurationError

INPUT = "images"
#: Prefix of every tensor the surgery adds, so that none collides with an export's own.
_OURS = "face_api/"
_COLUMNS = {"score": SCORE_COLUMNS, "bbox": BOX_COLUMNS, "kps": LANDMARK_COLUMNS}

#: What may stand between an output and its Reshape without looking at the shape.
_ELEMENTWISE = frozenset({"Sigmoid", "Identity", "Cast", "Mul", "Add", "Exp", "Relu", "Clip"})
#: Operators that treat every place of every picture alike, whatever the size of the picture.
_SIZELESS = _ELEMENTWISE | frozenset(
    {"Conv", "Transpose", "MaxPool", "AveragePool", "BatchNormalization", "LeakyRelu", "PRelu", "HardSigmoid",
     "HardSwish", "Sub", "Div", "Concat", "Split", "Gather", "Constant"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportLayout:
    """An export as it was found: which output is what, and by how much each Resize enlarges.

    outputs: its output names in the order scores 8 16 32, boxes 8 16 32, landmarks 8 16 32.
    resize_scales: Resize node's output name → (N, C, H, W) factors seen on a run; only whole factors.
    """

    outputs: tuple[str, ...]
    resize_scales: dict[str, tuple[float, ...]]


def is_serving_form(model: ModelProto) -> bool:
    """Whether the metadata says that this network is in serving form already."""
    return any(prop.key == METADATA_FORM and prop.value == SERVING_FORM for prop in model.metadata_props)


def to_serving_form(model: ModelProto, layout: ExportLayout) -> ModelProto:
    """The export rewritten: uint8 BGR input, dynamic batch and size, outputs (batch, anchors, columns) by name.

    Raises ConfigurationError where an output does not come from a Reshape that can be rewritten.
    """
    served = copied(model)
    graph = served.graph
    source = real_inputs(graph)[0].name
    del graph.value_info[:]
    _free_resizes(graph, layout)
    heads = list(_head_reshapes(graph, layout))
    _free_inner_reshapes(graph, {reshape.output[0] for _, reshape in heads})
    _name_outputs(graph, heads)
    _replace_input(graph, source)
    drop_unused(graph)
    served = with_newer_opset(served)
    if opset_of(served) >= CHEAPER_OPSET:
        make_cheaper(served.graph)
    helper.set_model_props(served, {METADATA_FORM: SERVING_FORM})
    return served


def is_sizeless(served: ModelProto) -> bool:
    """Whether every operator treats all places alike, so that any size is answered as its own size is."""
    constants = whole_constants(served.graph)
    return all(
        node.op_type in _SIZELESS
        or (node.op_type == "Resize" and len(node.input) == 3)
        or (node.op_type == "Reshape" and list(constants.get(node.input[1], ()))[:2] == [0, -1])
        for node in served.graph.node
    )


def _free_resizes(graph: GraphProto, layout: ExportLayout) -> None:
    """Resize by the factor seen instead of to a size: computed sizes go, and no batch is baked in."""
    for node in graph.node:
        scales = layout.resize_scales.get(node.output[0]) if node.op_type == "Resize" else None
        if scales is not None:
            region = node.input[1] if len(node.input) > 1 else ""
            factors = add_constant(graph, f"{_OURS}scales/{node.output[0]}", scales, np.float32)
            node.input[:] = [node.input[0], region, factors]


def _head_reshapes(graph: GraphProto, layout: ExportLayout) -> Iterator[tuple[str, NodeProto]]:
    """(output name, its Reshape) for every output, found backwards over elementwise nodes."""
    producers = {name: node for node in graph.node for name in node.output}
    for output in layout.outputs:
        node = producers.get(output)
        while node is not None and node.op_type in _ELEMENTWISE:
            node = next((producers[name] for name in node.input if name in producers), None)
        if node is None or node.op_type != "Reshape":
            found = "nothing" if node is None else node.op_type
            raise ConfigurationError(f"output {output} comes from {found}, not from a Reshape, and cannot be batched")
        yield output, node


def _free_inner_reshapes(graph: GraphProto, heads: set[str]) -> None:
    """A baked batch of one in a Reshape inside the network (group normalisation) becomes "as it comes"."""
    constants = whole_constants(graph)
    for node in graph.node:
        if node.op_type != "Reshape" or node.output[0] in heads or node.input[1] not in constants:
            continue
        shape = constants[node.input[1]]
        if shape.size > 1 and shape[0] == 1:
            _set_shape(graph, node, [0, *shape[1:].tolist()], f"{_OURS}shape/{node.output[0]}")


def _name_outputs(graph: GraphProto, heads: list[tuple[str, NodeProto]]) -> None:
    """Outputs keep the batch apart from the anchors, under the serving form's names and in its order."""
    names = output_names(landmarks=len(heads) == 9)
    for (_, reshape), name in zip(heads, names, strict=True):
        _set_shape(graph, reshape, [0, -1, _COLUMNS[name.split("_")[0]]], f"{_OURS}shape/{name}")
    # An inner tensor that happens to bear a name we need gets another one.
    renamed = {name: f"{_OURS}aside/{name}" for name in names_used(graph).intersection(names)}
    renamed |= {old: new for (old, _), new in zip(heads, names, strict=True)}
    rename(graph, renamed)
    del graph.output[:]
    for name in names:
        kind, stride = name.split("_")
        shape: list[int | str | None] = ["batch", f"anchors_{stride}", _COLUMNS[kind]]
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def _set_shape(graph: GraphProto, reshape: NodeProto, shape: list[int], name: str) -> None:
    """A constant shape in which 0 means "copy this side", whatever the export said about zeros."""
    reshape.input[1] = add_constant(graph, name, shape, np.int64)
    kept = [attribute for attribute in reshape.attribute if attribute.name != "allowzero"]
    del reshape.attribute[:]
    reshape.attribute.extend(kept)


def _replace_input(graph: GraphProto, source: str) -> None:
    """uint8 BGR in, the export's normalised RGB out, in as few passes over the pixels as are exact.

    Planes are turned and swapped while they are bytes (a quarter of the memory). The subtraction must stay:
    the convolution pads with zeros after it. The factor 1/128 is a power of two, so that moving it into the
    first weights changes no bit.
    """
    if INPUT in names_used(graph):
        rename(graph, {INPUT: f"{_OURS}aside/{INPUT}"})
        source = f"{_OURS}aside/{INPUT}" if source == INPUT else source
    folded = _fold_scale(graph, source)
    order = add_constant(graph, f"{_OURS}order", [2, 1, 0], np.int64)
    mean = add_constant(graph, f"{_OURS}mean", 127.5, np.float32)
    planes, swapped, wide = f"{_OURS}planes", f"{_OURS}rgb", f"{_OURS}wide"
    shifted = source if folded else f"{_OURS}shifted"
    nodes = [
        helper.make_node("Transpose", [INPUT], [planes], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", [planes, order], [swapped], axis=1),
        helper.make_node("Cast", [swapped], [wide], to=TensorProto.FLOAT),
        helper.make_node("Sub", [wide, mean], [shifted]),
    ]
    if not folded:
        factor = add_constant(graph, f"{_OURS}factor", 0.0078125, np.float32)
        nodes.append(helper.make_node("Mul", [shifted, factor], [source]))
    body = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + body)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", "height", "width", 3]))


def _fold_scale(graph: GraphProto, source: str) -> bool:
    """Move the factor 1/128 into the weights of the convolutions that read the input; False where it cannot be."""
    readers = [node for node in graph.node if source in node.input]
    weights = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    for node in readers:
        if node.op_type != "Conv" or node.input[1] not in weights or uses[node.input[1]] > 1:
            return False
    for node in readers:
        tensor = weights[node.input[1]]
        scaled = numpy_helper.to_array(tensor) * np.float32(0.0078125)
        tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))
    return bool(readers)
