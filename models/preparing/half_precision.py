"""When half precision is served, and the proof that it may: on a GPU, where it answers nearly as fp32 does.

The proof runs on the CPU. That computes halves in float32 and rounds the weights alone; so the proof also runs a
network that rounds after every operator, as the card does. The worker compares the card with the CPU again before
it serves (`worker/gpu_check.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from msgspec import structs

from models.catalogue.fetch import sha256_of
from models.preparing.cache import Cache
from models.preparing.closer import carry_closer
from models.preparing.place import is_whole, key_of
from models.proving.expectation import TOLERANCES
from models.proving.proof import ServingNetwork, proof_pictures
from models.proving.runtime import spare_threads
from models.rewriting.fp16 import rounded_as_half, to_half
from models.served.anchors import STRIDES
from models.served.facts import NETWORK_NAME, SIDECAR_NAME, ServingModel, load, read_sidecar, write_sidecar
from shared.canary import canary_picture
from shared.errors import ConfigurationError
from shared.faces import FloatArray
from shared.settings import Settings

#: Largest difference from fp32: of any score, and in input pixels of boxes and landmarks that can be seen.
SCORE_TOLERANCE, PIXEL_TOLERANCE = 2e-3, 0.5
#: Boxes are compared where fp32 scores at least this; below, nothing is asked for and boxes are noise.
SEEN = 0.1


@dataclass(frozen=True, slots=True)
class Drift:
    """score, pixels: largest differences from fp32 that were seen."""

    score: float
    pixels: float

    @property
    def small(self) -> bool:
        """A NaN is never small."""
        return self.score <= SCORE_TOLERANCE and self.pixels <= PIXEL_TOLERANCE

    def __str__(self) -> str:
        return f"{self.score:.2g} in scores, {self.pixels:.2g} px"


def wants_half(precision: str, gpus: int) -> bool:
    """Whether half precision is to be tried. precision: the setting.

    Raises ConfigurationError where it is asked for and there is no GPU.
    """
    if precision == "fp16" and not gpus:
        raise ConfigurationError(
            "FACE_API_PRECISION=fp16 needs a GPU: a CPU computes halves slower than fp32; leave it at auto"
        )
    return bool(gpus) and precision in ("auto", "fp16")


def half_or_full(full: ServingModel, settings: Settings, progress: Callable[[str], None]) -> ServingModel:
    """`full` in half precision where that is good enough, else as it is. Unless fp16 was asked for it goes along.

    Raises ConfigurationError when fp16 was asked for by name and is not good enough.
    """
    try:
        half = in_half(full, Path(settings.data_dir), progress)
        return half if settings.precision == "fp16" else replace(half, full=full)
    except ConfigurationError as error:
        if settings.precision == "fp16":
            raise
        progress(f"served in fp32: {error}")
        return full


def in_half(full: ServingModel, data_dir: Path, progress: Callable[[str], None]) -> ServingModel:
    """The network at `full.path` in half precision, from the cache or made and proven now.

    Raises ConfigurationError when it is not near enough to fp32.
    """
    key = key_of(sha256_of(full.path), sha256_of(full.path.with_name(SIDECAR_NAME)), "fp16")
    place = Cache(data_dir).entry(key, is_whole, lambda folder: _build(full, folder, progress))
    return load(place / NETWORK_NAME)


def _build(full: ServingModel, folder: Path, progress: Callable[[str], None]) -> None:
    path, sidecar = folder / NETWORK_NAME, read_sidecar(full.path)
    progress(f"preparing {full.info.name} in half precision")
    network = onnx.load(full.path)
    onnx.save(to_half(network), path)
    drift = measured(full.path, (path, rounded_as_half(network).SerializeToString()), full.info.input_side)
    if not drift.small:
        raise ConfigurationError(
            f"{full.info.name} in half precision strays from fp32 by {drift}, more than {SCORE_TOLERANCE} or "
            f"{PIXEL_TOLERANCE} px; leave FACE_API_PRECISION at auto, or set it to fp32"
        )
    carry_closer(full, folder)
    pixels, score = TOLERANCES["fp16"]
    write_sidecar(
        path,
        structs.replace(
            sidecar,
            serving_sha256=sha256_of(path),
            trimmed_sha256=[],
            info=structs.replace(sidecar.info, precision="fp16", trimming=None),
            canary=structs.replace(sidecar.canary, box_tolerance_px=pixels, score_tolerance=score),
            proof=sidecar.proof | {"half_score_drift": drift.score, "half_pixel_drift": drift.pixels},
        ),
    )
    progress(f"{full.info.name} in half precision proven near fp32 ({drift})")


def measured(full: Path, halves: Sequence[Path | bytes], side: int) -> Drift:
    """The largest drift of any of `halves` over the pictures at side×side, the canary among them; on the CPU."""
    threads = spare_threads()
    whole = ServingNetwork(full, threads)
    pictures = [picture[None] for picture in proof_pictures(canary_picture(), side, side)]
    right = [whole.run(picture) for picture in pictures]
    drifts = [
        drift_of(network.run(picture), answer)
        for network in (ServingNetwork(half, threads) for half in halves)
        for picture, answer in zip(pictures, right, strict=True)
    ]
    return Drift(
        float(np.max([drift.score for drift in drifts])),  # np.max lets a NaN through
        float(np.max([drift.pixels for drift in drifts])),
    )


def drift_of(found: list[FloatArray], right: list[FloatArray]) -> Drift:
    """Of outputs in the serving form's order: scores, boxes, landmarks, each by stride."""
    levels = len(STRIDES)
    score = np.max([np.abs(a - b).max() for a, b in zip(found[:levels], right[:levels], strict=True)])
    pixels = [0.0]
    for place in range(levels, len(right)):
        seen = right[place % levels][..., 0] >= np.float32(SEEN)
        apart = np.abs(found[place][seen] - right[place][seen]).max(initial=0.0)
        pixels.append(float(apart) * STRIDES[place % levels])
    return Drift(float(score), float(np.max(pixels)))
