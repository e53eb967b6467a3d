"""The ends of an int8 network: each value of a head has the 256 bytes for itself, and becomes real again here.

The merged head is split while it is bytes; per channel, a factor and an offset make the values (0.15 ms at
640×640, where DequantizeLinear per channel takes 0.31).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper

from models.int8.work import OURS, Scale, Work, add_scale, byte_scale
from models.rewriting.graphs import add_constant
from shared.faces import FloatArray

#: sigmoid(−9) is 0.0001: lower logits need no resolution.
LOGIT_MIN = -9.0


def head_scales(work: Work, output: str, ranges: NDArray[np.float64]) -> tuple[FloatArray, NDArray[np.uint8]]:
    """(steps, zero bytes), one per channel: each value of a head uses all 256 bytes for itself."""
    logits = _logit_channels(work, output, len(ranges))
    pairs = [byte_scale(max(low, LOGIT_MIN) if logit else low, high)
             for (low, high), logit in zip(ranges, logits, strict=True)]  # fmt: skip
    return np.array([step for step, _ in pairs], np.float32), np.array([zero for _, zero in pairs], np.uint8)


def _logit_channels(work: Work, output: str, count: int) -> list[bool]:
    """Which channels of a head end in a Sigmoid."""
    split = _split_after(work, output)
    if split is None:
        return [_ends_in_sigmoid(work, output)] * count
    widths = work.weights[split.input[1]]
    return [_ends_in_sigmoid(work, part) for part, width in zip(split.output, widths, strict=True)
            for _ in range(int(width))]  # fmt: skip


def _ends_in_sigmoid(work: Work, name: str) -> bool:
    while len(work.readers[name]) == 1:
        node = work.readers[name][0]
        if node.op_type not in ("Transpose", "Reshape"):
            return node.op_type == "Sigmoid"
        name = node.output[0]
    return False


def logit_tensors(graph: GraphProto) -> list[str]:
    """What becomes a Sigmoid's input by reshaping alone: the logits of a head, channels last."""
    producers = {name: node for node in graph.node for name in node.output}
    return [_before_reshapes(producers, node.input[0]) for node in graph.node if node.op_type == "Sigmoid"]


def _before_reshapes(producers: Mapping[str, NodeProto], name: str) -> str:
    while name in producers and producers[name].op_type == "Reshape":
        name = producers[name].input[0]
    return name


def real_of(answer: str) -> str:
    """What a head's tensor is called once its bytes are real again."""
    return f"{OURS}{answer}/real"


def end_head(work: Work, output: str, steps: FloatArray, zeros: NDArray[np.uint8]) -> None:
    """The head's bytes, turned to channels-last and split, become real with a factor and an offset per channel."""
    whole, stored, turned = add_scale(work, output, 1.0, 0), f"{OURS}{output}/bytes", f"{OURS}{output}/turned"
    work.nodes.append(helper.make_node("QuantizeLinear", [output, whole.step_name, whole.zero_name], [stored]))
    work.nodes.append(helper.make_node("Transpose", [stored], [turned], perm=[0, 2, 3, 1]))
    split = _split_after(work, output)
    if split is None:
        answers, widths, parts = [work.readers[output][0].output[0]], [len(steps)], [turned]
    else:
        answers, widths = list(split.output), [int(width) for width in work.weights[split.input[1]]]
        parts = [f"{OURS}{answer}/bytes" for answer in answers]
        work.nodes.append(helper.make_node("Split", [turned, split.input[1]], parts, axis=3))
        # The turn itself has no reader left; its name only says that it is done.
        work.ready[split.input[0]] = turned
    offsets = -steps * zeros.astype(np.float32)
    start = 0
    for answer, part, width in zip(answers, parts, widths, strict=True):
        channels = slice(start, start + width)
        shift = work.shifts.get(answer)
        moved = offsets[channels] if shift is None else offsets[channels] + np.float32(shift)
        _make_real(work, answer, part, whole, steps[channels], moved)
        start += width


def _make_real(work: Work, answer: str, part: str, whole: Scale, steps: FloatArray, offsets: FloatArray) -> None:
    name = f"{OURS}{answer}"
    factor = add_constant(work.graph, f"{name}/steps", steps, np.float32)
    offset = add_constant(work.graph, f"{name}/offsets", offsets, np.float32)
    work.nodes += [
        helper.make_node("DequantizeLinear", [part, whole.step_name, whole.zero_name], [f"{name}/wide"]),
        helper.make_node("Mul", [f"{name}/wide", factor], [f"{name}/scaled"]),
        helper.make_node("Add", [f"{name}/scaled", offset], [real_of(answer)]),
    ]
    work.ready[answer] = real_of(answer)


def _split_after(work: Work, output: str) -> NodeProto | None:
    """The Split that alone reads the turned head, or None."""
    readers = work.readers[work.readers[output][0].output[0]]
    return readers[0] if len(readers) == 1 and readers[0].op_type == "Split" else None
