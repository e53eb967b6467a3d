"""How a network in serving form turns bytes into its first float tensor: found by running it, not by its names."""

from __future__ import annotations

import itertools

import numpy as np
from onnx import GraphProto, ModelProto

from models.int8.quantize import INPUT, PixelRule
from models.proving.runtime import open_session
from models.rewriting.cheaper import readers_of
from models.rewriting.graphs import with_outputs

#: Rounding of factor · byte + offset in float32, relative to the factor.
_ROUNDING = 1e-3
_SIDE = 64


def pixel_rule(model: ModelProto) -> PixelRule | None:
    """The rule, or None where the first convolution does not read planes of factor · byte + offset."""
    tensor = _first_read(model.graph)
    if tensor is None:
        return None
    session = open_session(with_outputs(model, [tensor]).SerializeToString(), threads=1)
    bytes_in = np.random.default_rng(5).integers(0, 256, (1, _SIDE, _SIDE, 3), dtype=np.uint8)
    (planes,) = session.run([tensor], {INPUT: bytes_in})
    if planes.shape != (1, 3, _SIDE, _SIDE):
        return None
    for order in itertools.permutations(range(3)):
        ours = bytes_in[0, :, :, list(order)].astype(np.float64)
        factor, offset = np.polyfit(ours.ravel(), planes[0].ravel(), 1)
        if np.abs(factor * ours + offset - planes[0]).max() <= _ROUNDING * abs(factor):
            return PixelRule(tensor, _plain(factor), _plain(offset), order)
    return None


def _plain(value: float) -> float:
    """Without the noise of the fit, so that the same network comes out everywhere."""
    return float(f"{value:.6g}")


def _first_read(graph: GraphProto) -> str | None:
    """The tensor that convolutions read, down a chain of single steps from the input."""
    readers, tensor = readers_of(graph), INPUT
    while len(readers[tensor]) == 1 and readers[tensor][0].op_type != "Conv":
        tensor = readers[tensor][0].output[0]
    return tensor if {reader.op_type for reader in readers[tensor]} == {"Conv"} else None
