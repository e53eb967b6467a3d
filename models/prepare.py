"""Any SCRFD export → the serving form, proven and cached. This file alone knows the order of the steps.

read → inspect → surgery → proof → canary → written whole into the cache, with its sidecar
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto

from models.cache import Cache
from models.choose import FILE_BYTES_MAX, Choice, sha256_of
from models.expectation import expectation
from models.graphs import dimensions, real_inputs, with_free_sides, with_outputs
from models.proof import SECOND_SIZE, Proof, ServingNetwork, prove
from models.reference import Reference, head_order
from models.runtime import open_session, spare_threads
from models.serving import (
    NETWORK_NAME,
    SERVING_FORM,
    ModelFacts,
    ServingModel,
    Sidecar,
    load,
    read_sidecar,
    write_sidecar,
)
from models.surgery import Layout, is_serving_form, is_sizeless, output_names, to_serving_form
from shared.canary import canary_picture
from shared.errors import ConfigurationError
from shared.settings import Settings

Progress = Callable[[str], None]

#: Modules whose change makes every prepared model stale.
_CODE = ("cheaper", "expectation", "graphs", "prepare", "proof", "reference", "surgery")


@dataclass(frozen=True, slots=True)
class Export:
    """A model file as its maker left it. own_size: its fixed (height, width), None where it is dynamic."""

    data: bytes
    model: ModelProto
    own_size: tuple[int, int] | None


def prepared(choice: Choice, settings: Settings, progress: Progress) -> ServingModel:
    """The serving form of the chosen file, from the cache or made now. Raises ConfigurationError."""
    if settings.precision not in ("auto", "fp32"):
        raise ConfigurationError(f"FACE_API_PRECISION={settings.precision}: not available here; use fp32 or auto")
    return prepared_fp32(choice, settings.input_side, Path(settings.data_dir), progress)


def prepared_fp32(choice: Choice, side: int, data_dir: Path, progress: Progress) -> ServingModel:
    """The same in the export's own arithmetic, for inputs of side×side."""
    source_sum = sum_of_source(choice.path)
    key = cache_key(source_sum, choice.name, "fp32", side)
    place = Cache(data_dir).entry(key, is_whole, lambda folder: _build(choice, source_sum, side, folder, progress))
    return load(place / NETWORK_NAME)


def cache_key(source_sum: str, name: str, precision: str, side: int) -> str:
    """Changes with whatever could change the prepared network or its sidecar."""
    code = hashlib.sha256()
    for module in _CODE:
        code.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    parts = (source_sum, name, precision, str(side), onnxruntime.__version__, onnx.__version__, code.hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def is_whole(place: Path) -> bool:
    """Whether a cache entry can be served: a readable sidecar and the very network it speaks of."""
    path = place / NETWORK_NAME
    try:
        return read_sidecar(path).serving_sha256 == sha256_of(path)
    except (ConfigurationError, OSError):
        return False


def sum_of_source(path: Path) -> str:
    """Of a model file; raises ConfigurationError for one that is too large or cannot be read."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigurationError(f"{path}: larger than {FILE_BYTES_MAX >> 20} MiB, which no SCRFD model is")
        return sha256_of(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error


def _build(choice: Choice, source_sum: str, side: int, folder: Path, progress: Progress) -> None:
    """Makes one entry in `folder`."""
    progress(f"preparing {choice.name} once for this machine")
    threads, picture, path = spare_threads(), canary_picture(), folder / NETWORK_NAME
    export = read_export(choice.path)
    original, resized = oracles(export, threads)
    served = serving_form(export, side, threads)
    sizeless = is_sizeless(served)
    onnx.save(served, path)
    oracle = canary_oracle(export, original, resized, path, sizeless=sizeless, side=side)
    proof = prove(ServingNetwork(path, threads), original, resized, picture, export.own_size or (side, side))
    if not proof.alone.small:
        raise ConfigurationError(
            f"{choice.path}: once prepared, this network does not answer as the original does ({proof.alone}), "
            "so it is not served; name another model with FACE_API_MODEL"
        )
    dynamic_size = not proof.resized and (resized is not None or sizeless)
    facts = ModelFacts(
        name=choice.name,
        precision="fp32",
        input_side=side,
        landmarks=len(served.graph.output) == 9,
        batch_invariant=not proof.batched,
        dynamic_size=dynamic_size,
        license=choice.license,
        source_sha256=source_sum,
        note=_note(proof, dynamic_size=dynamic_size, side=side),
    )
    sidecar = Sidecar(
        form=SERVING_FORM,
        serving_sha256=sha256_of(path),
        info=facts,
        canary=expectation(oracle, picture, side, "fp32"),
        proof={"score_difference": proof.alone.score, "distance_difference": proof.alone.distance},
    )
    write_sidecar(path, sidecar)
    progress(f"{choice.name} proven equal to its original ({proof.alone})" + (f"; {facts.note}" if facts.note else ""))


def _note(proof: Proof, *, dynamic_size: bool, side: int) -> str:
    parts = []
    if proof.batched:
        parts.append(f"served one picture at a time: {proof.batched}")
    if not dynamic_size:
        parts.append(f"served at {side}×{side} only" + (f": {proof.resized}" if proof.resized else ""))
    return "; ".join(parts)


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
    """The network to serve; one that is in serving form already is taken as it is."""
    if not is_serving_form(export.model):
        return to_serving_form(export.model, inspect(export, side, threads))
    names = tuple(output.name for output in export.model.graph.output)
    if names != output_names(landmarks=len(names) == 9):
        raise ConfigurationError(f"says it is in serving form, but its outputs are {', '.join(names)}")
    return export.model


def inspect(export: Export, side: int, threads: int) -> Layout:
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
    return Layout(tuple(own[index] for index in order), {name: found for name, found in scales.items() if found})


def _whole_factors(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[float, ...]:
    """By how much each side grew; empty where any is no whole number or batch or channels grew."""
    if len(before) != 4 or before[:2] != after[:2] or any(b % a for a, b in zip(before, after, strict=True)):
        return ()
    return tuple(b / a for a, b in zip(before, after, strict=True))
