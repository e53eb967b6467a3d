"""Adds reduced heads to a network in serving form: the best candidates are chosen where the network runs.

The raw heads stay outputs: they are computed anyway, and a crowd is answered from them. Each stride is chosen
from by itself: onnxruntime's CUDA kernels for Concat of unequal parts and for GatherND copy small tables from
host memory at every run, which a recorded CUDA graph would replay from memory that was given back
(onnxruntime/core/providers/cuda/tensor/concat.cc, gather_nd.cc). TopK, Expand and GatherElements do not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from models.rewriting.graphs import add_constant, copied, opset_of
from models.served.anchors import STRIDES
from models.served.reduced_outputs import kept
from shared.errors import ConfigurationError

#: TopK with K as an input, and GatherElements.
OPSET_MIN = 11
_OURS = "face_api/top"


def with_reduced_heads(served: ModelProto, side: int) -> ModelProto:
    """A copy that also answers the outputs of `models/served/reduced_outputs.py`, for inputs of side×side only.

    Raises ConfigurationError for a network too old for the operators.
    """
    if opset_of(served) < OPSET_MIN:
        raise ConfigurationError(
            f"this network's operators are of opset {opset_of(served)}, too old to reduce its heads on a GPU; "
            "set FACE_API_GPU_HEADS=raw"
        )
    model = copied(served)
    names = [output.name for output in model.graph.output]
    for stride in STRIDES:
        model.graph.node.extend(_level(model.graph, stride, kept(side, stride), landmarks=f"kps_{stride}" in names))
    return model


def _level(graph: GraphProto, stride: int, count: int, *, landmarks: bool) -> Iterator[NodeProto]:
    """The nodes of one stride; declares its outputs in `graph`."""
    flat_shape = add_constant(graph, f"{_OURS}/flat/{stride}", [0, -1], np.int64)
    wanted = add_constant(graph, f"{_OURS}/count/{stride}", [count], np.int64)
    column_shape = add_constant(graph, f"{_OURS}/column/{stride}", [0, -1, 1], np.int64)
    flat, index, column = (f"{_OURS}/{what}/{stride}" for what in ("scores", "index64", "indices"))
    score, answered = f"top_score_{stride}", f"top_index_{stride}"
    yield helper.make_node("Reshape", [f"score_{stride}", flat_shape], [flat])
    yield helper.make_node("TopK", [flat, wanted], [score, index], axis=1, largest=1, sorted=1)
    yield helper.make_node("Cast", [index], [answered], to=TensorProto.INT32)
    yield helper.make_node("Reshape", [index, column_shape], [column])
    _declare(graph, score, TensorProto.FLOAT, ["batch", count])
    _declare(graph, answered, TensorProto.INT32, ["batch", count])
    for kind, columns in (("bbox", 4), ("kps", 10)) if landmarks else (("bbox", 4),):
        shape = add_constant(graph, f"{_OURS}/wide_{kind}/{stride}", [1, 1, columns], np.int64)
        wide, chosen = f"{_OURS}/rows_{kind}/{stride}", f"top_{kind}_{stride}"
        yield helper.make_node("Expand", [column, shape], [wide])
        yield helper.make_node("GatherElements", [f"{kind}_{stride}", wide], [chosen], axis=1)
        _declare(graph, chosen, TensorProto.FLOAT, ["batch", count, columns])


def _declare(graph: GraphProto, name: str, kind: int, shape: list[int | str | None]) -> None:
    graph.output.append(helper.make_tensor_value_info(name, kind, shape))
