"""What quantisation keeps in hand while it rewrites a graph, and the arithmetic of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto

from models.rewriting.graphs import add_constant
from shared.faces import FloatArray

#: Prefix of every tensor that quantisation adds.
OURS = "face_api/int8/"
BYTE_MAX = 255

#: tensor → least and greatest value, or one such pair per channel.
Ranges = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Scale:
    """real = step · (byte − zero); the names of both constants."""

    step: float
    step_name: str
    zero_name: str


@dataclass
class Work:
    """The graph under the knife. scales: of every tensor that passes as bytes. ready: its dequantised name.
    paired: a tensor whose channels hold two columns → how many channels it really has. shifts: logits of a head →
    what is added to them."""

    graph: GraphProto
    ranges: Ranges
    weight_max: int
    weights: dict[str, FloatArray]
    readers: dict[str, list[NodeProto]]
    nodes: list[NodeProto] = field(default_factory=list)
    scales: dict[str, Scale] = field(default_factory=dict)
    ready: dict[str, str] = field(default_factory=dict)
    paired: dict[str, int] = field(default_factory=dict)
    shifts: Mapping[str, float] = field(default_factory=dict)


def byte_scale(low: float, high: float) -> tuple[float, int]:
    """(step, zero byte) so that 0 is exact and low to high fits into 0 to 255."""
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    step = max((high - low) / BYTE_MAX, 1e-8)
    return step, int(np.clip(round(-low / step), 0, BYTE_MAX))


def add_scale(work: Work, name: str, step: float, zero: int) -> Scale:
    """A scale as two constants of the graph."""
    scale = add_constant(work.graph, f"{OURS}{name}/step", step, np.float32)
    return Scale(step, scale, add_constant(work.graph, f"{OURS}{name}/zero", zero, np.uint8))
