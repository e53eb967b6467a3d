"""The network a GPU worker runs, made from the prepared file when the worker starts: cheap, so nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from models.graphs import add_constant, copied, drop_unused, real_inputs, whole_constants
from models.reduce import with_reduced_heads

_OURS = "face_api/gpu"


def gpu_form(path: Path, side: int, *, reduced: bool, cast_first: bool) -> bytes:
    """A network in serving form for inputs of side×side and any batch, serialised.

    reduced: with the best candidates as further outputs. cast_first: see `with_cast_first`.
    """
    model = without_splits(_with_side(onnx.load(path), side))
    if cast_first:
        model = with_cast_first(model)
    if reduced:
        model = with_reduced_heads(model, side)
    data: bytes = model.SerializeToString()
    return data


def without_splits(served: ModelProto) -> ModelProto:
    """A copy that takes parts by Slice where it did by Split: the same numbers.

    onnxruntime's CUDA kernel for unequal parts copies small tables from host memory at every run, which a
    recorded CUDA graph would replay from memory that was given back (see `models/reduce.py`).
    """
    model = copied(served)
    graph, constants = model.graph, whole_constants(model.graph)
    nodes: list[NodeProto] = []
    for node in list(graph.node):
        if node.op_type == "Split" and len(node.input) == 2 and node.input[1] in constants:
            nodes += _slices(graph, node, constants[node.input[1]].tolist())
        else:
            nodes.append(NodeProto.FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(graph)
    return model


def _slices(graph: GraphProto, split: NodeProto, widths: list[int]) -> Iterator[NodeProto]:
    axis = next((item.i for item in split.attribute if item.name == "axis"), 0)
    along = add_constant(graph, f"{_OURS}/axis/{split.output[0]}", [axis], np.int64)
    start = 0
    for name, width in zip(split.output, widths, strict=True):
        first = add_constant(graph, f"{_OURS}/start/{name}", [start], np.int64)
        last = add_constant(graph, f"{_OURS}/end/{name}", [start + width], np.int64)
        yield helper.make_node("Slice", [split.input[0], first, last, along], [name])
        start += width


def with_cast_first(served: ModelProto) -> ModelProto:
    """A copy that widens the bytes before it turns them into planes, where it did so after.

    TensorRT takes uint8 inputs into a cast and nothing else; the same numbers either way.
    """
    model = copied(served)
    chain = _byte_chain(model.graph)
    if not chain:
        return model
    *movers, cast = chain
    source, target, wide = real_inputs(model.graph)[0].name, cast.output[0], f"{cast.output[0]}/wide"
    cast.input[0], cast.output[0] = source, wide
    movers[0].input[0] = wide
    movers[-1].output[0] = target
    others = [node for node in model.graph.node if node.output[0] not in {wide, *(n.output[0] for n in movers)}]
    ordered = [cast, *movers, *others]
    kept = [NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def _byte_chain(graph: GraphProto) -> list[NodeProto]:
    """The nodes from the uint8 input to its Cast, when there is one mover at least between them; else none."""
    readers = {node.input[0]: node for node in graph.node if node.input}
    chain: list[NodeProto] = []
    name = real_inputs(graph)[0].name
    while (node := readers.get(name)) is not None and node.op_type in ("Transpose", "Gather"):
        chain.append(node)
        name = node.output[0]
    cast = node is not None and node.op_type == "Cast" and node.attribute[0].i != TensorProto.UINT8
    return [*chain, node] if cast and chain and node is not None else []


def _with_side(served: ModelProto, side: int) -> ModelProto:
    """A copy whose height and width are said to be `side`: kernels are chosen for that size at load."""
    model = copied(served)
    for place in real_inputs(model.graph)[0].type.tensor_type.shape.dim[1:3]:
        place.Clear()
        place.dim_value = side
    return model
