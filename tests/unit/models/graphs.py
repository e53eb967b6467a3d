"""Small graphs for tests of rewriting: made of a few nodes, run by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.proving.runtime import open_session


def network(nodes: list[NodeProto], weights: dict[str, Any], outputs: list[str], channels: int = 3) -> ModelProto:
    """A network over float input `x` of (1, channels, 16, 16)."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, 16, 16])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def conv(source: str, name: str, **attributes: Any) -> NodeProto:
    """A convolution from `source` to `name` with weights name.w and bias name.b."""
    return helper.make_node("Conv", [source, f"{name}.w", f"{name}.b"], [name], **attributes)


def weights_for(name: str, shape: tuple[int, ...], seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Random weights and bias for `conv`."""
    chance = np.random.default_rng(seed)
    return {
        f"{name}.w": chance.normal(0, 0.4, shape).astype(np.float32),
        f"{name}.b": chance.normal(0, 0.4, shape[0]).astype(np.float32),
    }


def answers(model: ModelProto, channels: int = 3) -> list[NDArray[np.float32]]:
    """What it answers to one fixed input."""
    given = np.random.default_rng(9).normal(0, 1, (1, channels, 16, 16)).astype(np.float32)
    found: list[NDArray[np.float32]] = open_session(model.SerializeToString(), 1).run(None, {"x": given})
    return found


def kinds(model: ModelProto) -> list[str]:
    """Operators in order."""
    return [node.op_type for node in model.graph.node]
