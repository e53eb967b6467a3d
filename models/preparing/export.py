"""A model file as its maker left it: read, checked, asked what it answers, and rewritten into the serving form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto

from models.proving.proof import SECOND_SIZE
from models.proving.reference import Reference, head_order
from models.proving.runtime import open_session
from models.rewriting.cheaper import CHEAPER_OPSET, make_cheaper
from models.rewriting.graphs import copied, dimensions, opset_of, real_inputs, with_free_sides, with_outputs
from models.rewriting.surgery import ExportLayout, is_serving_form, to_serving_form
from models.served.anchors import output_names
from shared.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Export:
    """data, model: the file. own_size: its fixed (height, width), None where it is dynamic."""

    data: bytes
    model: ModelProto
    own_size: tuple[int, int] | None


def read_export(path: Path) -> Export:
    """Reads and checks a model file. Raises ConfigurationError when it cannot be an SCRFD export."""
    try:
        data = path.read_bytes()
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf raises its own kinds for what is no ONNX file
        raise ConfigurationError(f"{path}: not a readable ONNX file ({error})") from error
    inputs = real_inputs(model.graph)
    if len(inputs) != 1:
        raise ConfigurationError(f"{path}: {len(inputs)} inputs; an SCRFD export has one")
    sides = dimensions(inputs[0])
    kind = inputs[0].type.tensor_type.elem_type
    if is_serving_form(model):
        good, size = kind == TensorProto.UINT8 and len(sides) == 4 and sides[3] == 3, sides[1:3]
    else:
        good, size = kind == TensorProto.FLOAT and len(sides) == 4 and sides[1] in (3, None), sides[2:4]
    if not good:
        found = f"{TensorProto.DataType.Name(kind)} {sides}"
        raise ConfigurationError(f"{path}: its input is {found}; an SCRFD export takes FLOAT [batch, 3, height, width]")
    own_size = (size[0], size[1]) if size[0] and size[1] else None
    return Export(data, model, own_size)


def oracles(export: Export, threads: int) -> tuple[Reference, Reference | None]:
    """The untouched export, and the export as it answers other sizes than its own (None where it cannot).

    An export fixed to one size is asked at others with its declared input size freed and nothing else changed.
    """
    original = Reference(export.data, threads)
    return (original, original) if export.own_size is None else (original, _freed(export, threads))


def canary_oracle(
    export: Export, original: Reference, resized: Reference | None, served: Path, *, sizeless: bool, side: int
) -> Reference:
    """What tells the canary's faces at side×side: the untouched export wherever it answers that size.

    Where its sizes are baked in, the prepared network stands in, proven at the export's own size, if its
    operators know no size. Raises ConfigurationError where nothing answers that side.
    """
    if export.own_size == (side, side):
        return original
    if resized is not None:
        return resized
    if sizeless:
        return Reference(served)
    height, width = export.own_size or (side, side)
    mend = f"set FACE_API_INPUT_SIDE={width}" if width == height else "and only square inputs are served"
    raise ConfigurationError(f"this model takes {width}×{height} pixels only; {mend}")


def _freed(export: Export, threads: int) -> Reference | None:
    """The export with a free input size, if it then answers another size with the right shapes."""
    try:
        freed = Reference(with_free_sides(export.model).SerializeToString(), threads)
        freed.heads(np.zeros((*SECOND_SIZE, 3), dtype=np.uint8))
    except Exception:  # onnxruntime's many kinds: sizes are baked into the graph
        return None
    return freed


def serving_form(export: Export, side: int, threads: int) -> ModelProto:
    """The network in serving form; one that is published so is only made cheaper."""
    if not is_serving_form(export.model):
        return to_serving_form(export.model, inspect(export, side, threads))
    names = tuple(output.name for output in export.model.graph.output)
    if names != output_names(landmarks=len(names) == 9):
        raise ConfigurationError(f"says it is in serving form, but its outputs are {', '.join(names)}")
    served = copied(export.model)
    if opset_of(served) >= CHEAPER_OPSET:
        make_cheaper(served.graph)
    return served


def inspect(export: Export, side: int, threads: int) -> ExportLayout:
    """Runs the export once and looks at its shapes. Raises ConfigurationError for what is no SCRFD."""
    graph = export.model.graph
    own = [output.name for output in graph.output]
    resizes = [(node.input[0], node.output[0]) for node in graph.node if node.op_type == "Resize"]
    inner = [name for pair in resizes for name in pair if name not in own]
    height, width = export.own_size or (side, side)
    wider = with_outputs(export.model, list(dict.fromkeys(inner)))
    session = open_session(wider.SerializeToString(), threads)
    fed = np.zeros((1, 3, height, width), dtype=np.float32)
    names = [output.name for output in session.get_outputs()]
    answers = session.run(None, {real_inputs(graph)[0].name: fed})
    shapes = {name: tuple(answer.shape) for name, answer in zip(names, answers, strict=True)}
    order = head_order([shapes[name] for name in own], height, width)
    scales = {after: _whole_factors(shapes[before], shapes[after]) for before, after in resizes}
    return ExportLayout(tuple(own[index] for index in order), {name: found for name, found in scales.items() if found})


def _whole_factors(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[float, ...]:
    """By how much each side grew; empty where any is no whole number or batch or channels grew."""
    if len(before) != 4 or before[:2] != after[:2] or any(b % a for a, b in zip(before, after, strict=True)):
        return ()
    return tuple(b / a for a, b in zip(before, after, strict=True))
