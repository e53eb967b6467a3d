"""A network in serving form with its convolutions in half precision. This file alone knows what becomes half.

Half is whatever leads into a convolution; what comes after the last one (sigmoid, scales, reshapes) and the
outputs stay float32, and the input stays bytes. Our own surgery rather than the general converters: those put
casts around every operator they do not know and turn the outputs' last steps half too, which costs half of
the error allowed. Whether the result is good enough is proven elsewhere (`models/preparing/half_precision.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.rewriting.graphs import add_constant, copied, drop_unused
from shared.errors import ConfigurationError

_OURS = "face_api/half"
_SCALE = 0.0078125  # 1/128, the factor of the official normalisation; see models/rewriting/surgery.py
#: Inputs that are float32 by the operator's definition, whatever the data is.
_ALWAYS_FLOAT = {"Resize": (1, 2), "Upsample": (1,)}
_HALF_MAX = 65504.0


def to_half(served: ModelProto) -> ModelProto:
    """A copy in half precision. Raises ConfigurationError where a weight is beyond half's range."""
    model, half, changed = _parted(served)
    graph = model.graph
    for node in half:
        if node.op_type == "Cast":
            node.attribute[0].i = TensorProto.FLOAT16
    _narrow_weights(graph, half, np.float16)
    _widen_afterwards(graph, half, changed)
    drop_unused(graph)
    return model


def rounded_as_half(served: ModelProto) -> ModelProto:
    """A float32 network that answers as `to_half`'s does on a card: weights and whatever operators pass on are halves.

    For a CPU, which computes halves in float32 and rounds nothing in between, since onnxruntime takes its own pairs
    of casts out again; casts that stand in the network it leaves. Raises as `to_half` does.
    """
    model, half, changed = _parted(served)
    graph = model.graph
    _narrow_weights(graph, half, np.float32)
    inside = {node.output[0] for node in half}
    body: list[NodeProto] = []
    for node in graph.node:
        body.append(node)
        if node.output[0] in inside:
            body += [cast for place in range(len(node.output)) for cast in _rounding(node, place, changed)]
    _put(graph, body)
    drop_unused(graph)
    return model


def _rounding(node: NodeProto, place: int, changed: set[str]) -> list[NodeProto]:
    """Casts through half after one output of a node, which is computed under another name; none if it is no float."""
    name = node.output[place]
    if name not in changed:
        return []
    exact, half = f"{_OURS}/exact/{name}", f"{_OURS}/rounded/{name}"
    node.output[place] = exact
    return [
        helper.make_node("Cast", [exact], [half], to=TensorProto.FLOAT16),
        helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT),
    ]


def _parted(served: ModelProto) -> tuple[ModelProto, list[NodeProto], set[str]]:
    """A copy, with its nodes that become half and the float tensors they pass on."""
    model = copied(served)
    graph = model.graph
    del graph.value_info[:]
    _constants_to_initializers(graph)
    _unfold_scale(graph)
    half = _leading_into_convolutions(graph)
    return model, half, _float_tensors(graph, half)


def _constants_to_initializers(graph: GraphProto) -> None:
    """Constant nodes become weights, so that there is one kind of constant."""
    for node in [node for node in graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"]:
        tensor = graph.initializer.add()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        graph.node.remove(node)


def _unfold_scale(graph: GraphProto) -> None:
    """Takes the factor 1/128 out of the first weights again, exactly: weights so small lose bits as halves."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    shift = next((node for node in graph.node if node.op_type == "Sub" and _is_mean(weights, node)), None)
    if shift is None:
        return
    readers = [node for node in graph.node if shift.output[0] in node.input]
    if not readers or any(node.op_type != "Conv" or node.input[1] not in weights for node in readers):
        return
    factor, scaled = add_constant(graph, f"{_OURS}/factor", _SCALE, np.float32), f"{_OURS}/scaled"
    for node in readers:
        node.input[0] = scaled
    for name in {node.input[1] for node in readers}:
        values = numpy_helper.to_array(weights[name]) * np.float32(1 / _SCALE)
        weights[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
    place = list(graph.node).index(shift) + 1
    graph.node.insert(place, helper.make_node("Mul", [shift.output[0], factor], [scaled]))


def _is_mean(weights: dict[str, TensorProto], node: NodeProto) -> bool:
    return node.input[1] in weights and numpy_helper.to_array(weights[node.input[1]]).tolist() == 127.5


def _leading_into_convolutions(graph: GraphProto) -> list[NodeProto]:
    """Every convolution, and every node some convolution depends on."""
    needed: set[str] = set()
    found = []
    for node in reversed(graph.node):
        if node.op_type == "Conv" or needed.intersection(node.output):
            needed.update(node.input)
            found.append(node)
    return found[::-1]


def _float_tensors(graph: GraphProto, half: list[NodeProto]) -> set[str]:
    """Outputs of `half` nodes that were float32: all but what is made of bytes or whole numbers alone."""
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    kinds |= {value.name: value.type.tensor_type.elem_type for value in graph.input}
    changed: set[str] = set()
    for node in half:
        kind = node.attribute[0].i if node.op_type == "Cast" else kinds.get(node.input[0], TensorProto.FLOAT)
        kind = TensorProto.INT64 if node.op_type == "Shape" else kind
        for name in node.output:
            kinds[name] = kind
            if kind == TensorProto.FLOAT:
                changed.add(name)
    return changed


def _narrow_weights(graph: GraphProto, half: list[NodeProto], kept_as: type[np.floating[Any]]) -> None:
    """Float32 weights of half nodes, rounded to halves, under names of their own: others may read the same weight."""
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    narrowed: dict[str, str] = {}
    for node, place in _float_inputs(half, weights):
        name = node.input[place]
        if name not in narrowed:
            values = numpy_helper.to_array(weights[name])
            if np.abs(values).max(initial=0.0) > _HALF_MAX:
                raise ConfigurationError(f"weight {name} is beyond half precision's range; set FACE_API_PRECISION=fp32")
            narrowed[name] = f"{_OURS}/weight/{name}"
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float16).astype(kept_as), narrowed[name]))
        node.input[place] = narrowed[name]


def _float_inputs(half: list[NodeProto], weights: dict[str, TensorProto]) -> Iterator[tuple[NodeProto, int]]:
    for node in half:
        for place, name in enumerate(node.input):
            if name in weights and place not in _ALWAYS_FLOAT.get(node.op_type, ()):
                yield node, place


def _widen_afterwards(graph: GraphProto, half: list[NodeProto], changed: set[str]) -> None:
    """A cast to float32 wherever a half tensor is read by what stays float32, or is an output."""
    inside = {node.output[0] for node in half}
    outputs = {value.name for value in graph.output}
    widened: dict[str, str] = {}
    body: list[NodeProto] = []
    for node in graph.node:
        if node.output[0] not in inside:
            for place, name in enumerate(node.input):
                if name in changed:
                    if name not in widened:
                        widened[name] = f"{_OURS}/wide/{name}"
                        body.append(helper.make_node("Cast", [name], [widened[name]], to=TensorProto.FLOAT))
                    node.input[place] = widened[name]
        assert not outputs.intersection(node.output) or node.output[0] not in inside, "an output is a convolution's"
        body.append(node)
    _put(graph, body)


def _put(graph: GraphProto, body: list[NodeProto]) -> None:
    """These nodes in place of the graph's own, some of which they are."""
    kept = [NodeProto.FromString(node.SerializeToString()) for node in body]
    del graph.node[:]
    graph.node.extend(kept)
