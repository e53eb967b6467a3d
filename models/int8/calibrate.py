"""Which values each tensor takes: measured on pictures, once per model; the figures are kept in a ranges file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from models.int8.heads import logit_tensors, real_of
from models.int8.quantize import tensors_to_measure
from models.int8.work import byte_scale
from models.proving.reference import Pixels, letterbox
from models.proving.runtime import open_session, spare_threads
from models.rewriting.graphs import with_outputs
from shared.faces import FloatArray

#: Mosaics measured, and their tiles per side in turn: faces of all sizes count, not only portraits.
MOSAICS = 56
_TILES = (1, 1, 2, 3, 4, 6, 9)
#: Values looked at per tensor and picture.
_SAMPLES = 4000
#: Files read from a folder, and which ones.
PICTURES_MAX = 5000
_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

#: A logit from which something may be a face: a score of 0.15.
_SIGHT = -1.73

_KEEP_HIGH = np.linspace(0.4, 1.0, 25)
_KEEP_LOW = np.linspace(0.4, 1.0, 13)


@dataclass
class _Seen:
    """Extremes, per channel where they count, and a sample of the values of one tensor."""

    low: FloatArray
    high: FloatArray
    samples: list[FloatArray] = field(default_factory=list)


def picture_files(folder: Path) -> list[Path]:
    """Pictures in a folder and below, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)[:PICTURES_MAX]


def read_pictures(files: Iterable[Path]) -> Iterator[Pixels]:
    """(height, width, 3) uint8 BGR each; what cannot be read is passed over."""
    for path in files:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None:
            yield picture.astype(np.uint8, copy=False)


def mosaics(files: Sequence[Path], side: int, count: int = MOSAICS) -> Iterator[Pixels]:
    """`count` squares of side×side, each of 1 to 81 pictures taken at random but always the same."""
    chance = np.random.default_rng(0)
    for number in range(count):
        tiles = _TILES[number % len(_TILES)]
        size = side // tiles
        canvas = np.zeros((side, side, 3), dtype=np.uint8)
        chosen = [files[index] for index in chance.integers(0, len(files), tiles * tiles)]
        for place, picture in enumerate(read_pictures(chosen)):
            top, left = place // tiles * size, place % tiles * size
            tile, _ = letterbox(picture, size)
            canvas[top : top + size, left : left + size] = tile[:, ::-1] if chance.random() < 0.5 else tile
        yield canvas


def measured_ranges(model: ModelProto, pictures: Iterable[Pixels]) -> dict[str, NDArray[np.float64]]:
    """tensor → (low, high), or (channels, 2) for heads and what is equalised; the model as int8 is made of it."""
    wanted = dict(tensors_to_measure(model.graph))
    session = open_session(with_outputs(model, list(wanted)).SerializeToString(), spare_threads())
    chance = np.random.default_rng(1)
    seen: dict[str, _Seen] = {}
    for picture in pictures:
        for name, values in zip(wanted, session.run(list(wanted), {"images": picture[None]}), strict=True):
            _add(seen, name, values, per_channel=wanted[name], chance=chance)
    return {name: _chosen(found, per_channel=wanted[name]) for name, found in seen.items()}


def measured_shifts(model: ModelProto, rounded: bytes, pictures: Iterable[Pixels]) -> dict[str, float]:
    """logits of a head → how much the model's lie above those of its int8 network, on average where faces may be."""
    network = onnx.load_model_from_string(rounded)
    made = {name for node in network.graph.node for name in node.output}
    heads = [name for name in logit_tensors(model.graph) if real_of(name) in made]
    if not heads:
        return {}
    threads = spare_threads()
    exact = open_session(with_outputs(model, heads).SerializeToString(), threads)
    bytewise = open_session(with_outputs(network, [real_of(name) for name in heads]).SerializeToString(), threads)
    apart: dict[str, list[FloatArray]] = {name: [] for name in heads}
    for picture in pictures:
        wanted = exact.run(heads, {"images": picture[None]})
        found = bytewise.run([real_of(name) for name in heads], {"images": picture[None]})
        for name, one, other in zip(heads, wanted, found, strict=True):
            sight = np.maximum(one, other) > _SIGHT
            apart[name].append((one - other)[sight])
    return {
        name: round(float(np.concatenate(parts).mean()), 4) for name, parts in apart.items() if sum(map(len, parts))
    }


def _add(
    seen: dict[str, _Seen], name: str, values: FloatArray, *, per_channel: bool, chance: np.random.Generator
) -> None:
    axes = (0, 2, 3) if per_channel else None
    low, high = np.asarray(values.min(axis=axes)), np.asarray(values.max(axis=axes))
    found = seen.setdefault(name, _Seen(low, high))
    found.low, found.high = np.minimum(found.low, low), np.maximum(found.high, high)
    if not per_channel:
        found.samples.append(values.ravel()[chance.integers(0, values.size, _SAMPLES)])


def _chosen(found: _Seen, *, per_channel: bool) -> NDArray[np.float64]:
    """Five digits are plenty, and keep the file small."""
    if per_channel:
        pairs = np.stack([found.low, found.high], axis=1)
    else:
        pairs = np.array(best_range(float(found.low), float(found.high), np.concatenate(found.samples)))
    rounded: NDArray[np.float64] = np.array([float(f"{value:.5g}") for value in pairs.ravel()]).reshape(pairs.shape)
    return rounded


def best_range(low: float, high: float, samples: FloatArray) -> tuple[float, float]:
    """The range whose bytes lie nearest to the samples on the whole: a little less than the extremes, often."""
    low, high = min(low, 0.0), max(high, 0.0)
    least = (float("inf"), low, high)
    for high_share in _KEEP_HIGH:
        for low_share in _KEEP_LOW if low < 0 else (1.0,):
            tried = (low * low_share, high * high_share)
            least = min(least, (_error(*tried, low, high, samples), *tried))
    return float(least[1]), float(least[2])


def _error(low: float, high: float, lowest: float, highest: float, samples: FloatArray) -> float:
    """Mean square; the extremes themselves, which a sample seldom holds, count as a quarter of a value."""
    step, zero = byte_scale(low, high)
    rounded = (np.clip(np.rint(samples / np.float32(step)) + zero, 0, 255) - zero) * np.float32(step)
    missed = (highest - high) ** 2 + (lowest - low) ** 2
    return float(((samples - rounded) ** 2).mean()) + 0.25 / samples.size * missed
