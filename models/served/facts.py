"""What is served: the prepared network beside its sidecar `serving.json`. This file alone knows the sidecar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from models.served.trim import Trimming
from shared.errors import ConfigurationError
from shared.messages import Canary, ModelInfo

#: Marks a network in serving form, in its metadata under METADATA_FORM.
SERVING_FORM = "serving-1"
METADATA_FORM = "face_api.form"

SIDECAR_NAME = "serving.json"
NETWORK_NAME = "serving.onnx"
#: Networks of its own for inputs cut at the bottom, and at the right (models/rewriting/black_edge.py).
TRIMMED_NAMES = ("trimmed_rows.onnx", "trimmed_columns.onnx")
#: The closer network, for models that have one: on CPUs it sees sheets. In fp32 beside any precision.
CLOSER_NAME = "closer.onnx"
#: No sidecar of ours comes near it.
SIDECAR_BYTES_MAX = 1 << 20


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a prepared model before any process serves it.

    input_side: the side the canary was taken at. dynamic_size: whether other sides may be served too (a
    second pass); where False, only input_side squares. batch_invariant: whether a picture is answered alike
    whatever its neighbours are; where False, only batches of one are right. trimming: what of
    the black beside pictures it can do without on a CPU; None for nothing. exact_pixels: whether it is shown just the
    pixels that the reference would show it. note: what the operator should know.
    """

    name: str
    precision: str
    input_side: int
    landmarks: bool
    batch_invariant: bool
    dynamic_size: bool
    license: str
    source_sha256: str
    trimming: Trimming | None = None
    exact_pixels: bool = True
    note: str = ""

    def served(self, provider: str, max_batch: int, *, closer_network: bool = False) -> ModelInfo:
        """The same with what only the serving process knows; max_batch is 1 where batches would be wrong."""
        return ModelInfo(
            name=self.name,
            precision=self.precision,
            provider=provider,
            input_side=self.input_side,
            landmarks=self.landmarks,
            max_batch=max_batch if self.batch_invariant else 1,
            batch_invariant=self.batch_invariant,
            license=self.license,
            source_sha256=self.source_sha256,
            note=self.note,
            dynamic_size=self.dynamic_size,
            exact_pixels=self.exact_pixels,
            closer_network=closer_network,
        )


class Int8Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an int8 network. shortcomings: why it did not pass its gate, empty where it did.

    speed_ratio: how many times as fast as fp32, measured here, side by side. accuracy: as in models/proving/gate.py.
    """

    speed_ratio: float
    accuracy: dict[str, float]
    shortcomings: list[str]


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """The file beside the network. trimmed_sha256: of the networks under TRIMMED_NAMES, empty where there are none.
    closer_sha256: of the one under CLOSER_NAME, empty where there is none.

    proof: what was compared, and the largest differences seen.
    """

    form: str
    serving_sha256: str
    trimmed_sha256: list[str] = []
    closer_sha256: str = ""
    info: ModelFacts
    canary: Canary
    proof: dict[str, float] = {}
    int8: Int8Facts | None = None


@dataclass(frozen=True)
class ServingModel:
    """A network in serving form.

    path: the ONNX file. Input `images`, uint8 (batch, height, width, 3) BGR, sides multiples of 32, all
    dynamic. Outputs float32 score_8, score_16, score_32, bbox_8, … , kps_32 (no kps where info.landmarks is
    False) of shape (batch, anchors, 1 | 4 | 10), distances in units of the stride.
    canary: what the untouched export finds on `shared.canary.canary_picture()`.
    reason: why this model, for the start block; empty when loaded by a worker.
    full: the same in full precision, for cards on which this one strays; None where nothing else will do.
    closer: the ONNX file of its closer network, in serving form; None for a model without one.
    """

    path: Path
    info: ModelFacts
    canary: Canary
    reason: str = ""
    full: ServingModel | None = None
    closer: Path | None = None


def load(path: Path) -> ServingModel:
    """A prepared model by the path of its ONNX file. Reads the sidecar only. Raises ConfigurationError."""
    sidecar = read_sidecar(path)
    closer = path.with_name(CLOSER_NAME) if sidecar.closer_sha256 else None
    return ServingModel(path, sidecar.info, sidecar.canary, closer=closer)


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar of a prepared ONNX file. Raises ConfigurationError."""
    place = path.with_name(SIDECAR_NAME)
    try:
        with place.open("rb") as file:
            sidecar = msgspec.json.decode(file.read(SIDECAR_BYTES_MAX), type=Sidecar)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{place}: cannot be read ({error}); run `python -m models prepare` again") from error
    if sidecar.form != SERVING_FORM or not path.is_file():
        raise ConfigurationError(f"{path}: not a prepared model; run `python -m models prepare` again")
    return sidecar


def write_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Beside the ONNX file at `path`; the caller writes into a folder nobody reads yet."""
    path.with_name(SIDECAR_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(sidecar)) + b"\n")
