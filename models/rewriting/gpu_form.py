"""The network a GPU worker runs, made from the prepared file when the worker starts: cheap, so nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, helper

from models.rewriting.graphs import add_constant, copied, drop_unused, real_inputs, whole_constants
from models.rewriting.reduce import with_reduced_heads

_OURS = "face_api/gpu"


def gpu_form(path: Path, side: int, *, reduced: bool) -> bytes:
    """A network in serving form for inputs of side×side and any batch. reduced: with the best candidates too."""
    model = without_splits(_with_side(onnx.load(path), side))
    if reduced:
        model = with_reduced_heads(model, side)
    data: bytes = model.SerializeToString()
    return data


def without_splits(served: ModelProto) -> ModelProto:
    """A copy that takes parts by Slice where it did by Split: the same numbers.

    onnxruntime's CUDA kernel for unequal parts copies small tables from host memory at every run, which a
    recorded CUDA graph would replay from memory that was given back (see `models/rewriting/reduce.py`).
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


def _with_side(served: ModelProto, side: int) -> ModelProto:
    """A copy whose height and width are said to be `side`: kernels are chosen for that size at load."""
    model = copied(served)
    for place in real_inputs(model.graph)[0].type.tensor_type.shape.dim[1:3]:
        place.Clear()
        place.dim_value = side
    return model
