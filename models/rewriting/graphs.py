"""Small questions to and copies of ONNX graphs, with no knowledge of what they are for."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper, version_converter

#: Quantisation per channel needs opset 13; up to 17 nothing that SCRFD uses changed again.
OPSET = 17
#: What opset 17 came with; onnxruntime reads it since 1.12.
IR_VERSION = 8


def real_inputs(graph: GraphProto) -> list[onnx.ValueInfoProto]:
    """Inputs that somebody must feed; old exports list their weights among the inputs too."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def dimensions(value: onnx.ValueInfoProto) -> list[int | None]:
    """Sides of a tensor, None where dynamic."""
    sides = value.type.tensor_type.shape.dim
    return [side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else None for side in sides]


def copied(model: ModelProto) -> ModelProto:
    """A deep copy."""
    other = ModelProto()
    other.CopyFrom(model)
    return other


def with_free_sides(model: ModelProto) -> ModelProto:
    """A copy whose input may have any height and width, nothing else touched: the export's answer at other sizes."""
    free = copied(model)
    sides = real_inputs(free.graph)[0].type.tensor_type.shape.dim
    for side, name in ((sides[2], "height"), (sides[3], "width")):
        side.Clear()
        side.dim_param = name
    del free.graph.value_info[:]
    for output in free.graph.output:
        output.type.tensor_type.ClearField("shape")
    return free


def with_outputs(model: ModelProto, names: list[str]) -> ModelProto:
    """A copy that also answers these inner tensors, after its own outputs, in this order."""
    wider = copied(model)
    wider.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return wider


def whole_constants(graph: GraphProto) -> dict[str, NDArray[np.int64]]:
    """int64 constants by name, from initialisers and Constant nodes."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    whole = {name: tensor for name, tensor in tensors.items() if tensor.data_type == TensorProto.INT64}
    return {name: numpy_helper.to_array(tensor) for name, tensor in whole.items()}


def add_constant(graph: GraphProto, name: str, values: object, dtype: type[np.generic]) -> str:
    """Adds an initialiser; returns its name."""
    graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=dtype), name))
    return name


def names_used(graph: GraphProto) -> set[str]:
    """Every tensor name inside the graph."""
    used = {name for node in graph.node for name in [*node.input, *node.output]}
    return used | {tensor.name for tensor in graph.initializer}


def rename(graph: GraphProto, renamed: dict[str, str]) -> None:
    """Renames tensors everywhere inside; declared inputs and outputs are the caller's business."""
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)


def drop_unused(graph: GraphProto) -> None:
    """Removes nodes and weights that no output needs."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:]
    graph.node.extend(reversed(kept))
    del graph.initializer[:]
    graph.initializer.extend(weights)


def opset_of(model: ModelProto) -> int:
    """The version of the standard operators; 0 when the model names none."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def with_newer_opset(model: ModelProto) -> ModelProto:
    """The same at OPSET where onnx can convert it; as it was where it is newer or onnx cannot."""
    if opset_of(model) >= OPSET:
        return model
    try:
        converted: ModelProto = version_converter.convert_version(model, OPSET)
        onnx.checker.check_model(converted)
    except Exception:  # the converter is C++ and raises whatever it likes; the older opset serves as well
        return model
    converted.ir_version = max(converted.ir_version, IR_VERSION)
    # The converter writes down the shapes it inferred; they go stale with the next change.
    del converted.graph.value_info[:]
    return converted
