"""Whether a model is served in int8 on a CPU, and the network for it: built, judged and timed once per machine."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from msgspec import structs
from onnx import ModelProto

from models.catalogue.fetch import sha256_of
from models.int8 import figures as figures_files
from models.int8.figures import Figures
from models.int8.pixels import pixel_rule
from models.int8.quantize import quantised, simplified
from models.int8.work import Ranges
from models.preparing.cache import Cache
from models.preparing.closer import carry_closer
from models.preparing.export import read_export, serving_form
from models.preparing.place import Place, cache_key, is_whole
from models.proving.expectation import TOLERANCES
from models.proving.gate import shortcomings, too_slow
from models.proving.proof import ServingNetwork, batch_failure, proof_pictures
from models.proving.reference import Reference
from models.proving.runtime import spare_threads
from models.served.facts import NETWORK_NAME, Int8Facts, ServingModel, load, read_sidecar, write_sidecar
from models.served.trim import INT8_TRIMMING
from shared.canary import canary_picture, disagreement
from shared.errors import ConfigurationError

Progress = Callable[[str], None]

#: Weights use seven bits where sums of byte products saturate at sixteen (AVX2 without VNNI).
_WEIGHT_MAX, _WEIGHT_MAX_WITHOUT_BYTE_PRODUCTS = 127, 63
#: Runs of each network when they are timed side by side; the least disturbed of each counts.
_TIMED_RUNS = 15


def best_of(place: Place, exact: ServingModel, progress: Progress, *, asked_for: bool) -> ServingModel:
    """int8 where it passed its gate here, or where it is asked for by name; else the model as it is in fp32.

    Raises ConfigurationError when it is asked for and cannot be made.
    """
    if asked_for:
        return _asked_for(place, exact, progress)
    try:
        # Figures that fail are enough to know: then nothing is built.
        failings = shortcomings(_figures_of(place).accuracy)
        if not failings:
            model = in_int8(place, exact, progress)
            facts = _facts_of(model)
            if not facts.shortcomings:
                progress(f"int8 passed its gate: {_words(facts)}")
                return model
            failings = facts.shortcomings
        progress(f"served in fp32, as int8 did not pass its gate: {'; '.join(failings)}")
    except ConfigurationError as error:
        progress(f"served in fp32: {error}")
    return exact


def _asked_for(place: Place, exact: ServingModel, progress: Progress) -> ServingModel:
    model = in_int8(place, exact, progress)
    facts = _facts_of(model)
    if not facts.shortcomings:
        progress(f"int8 passed its gate: {_words(facts)}")
        return model
    why = f"int8 did not pass its gate: {'; '.join(facts.shortcomings)}"
    progress(f"WARNING: int8 is served because FACE_API_PRECISION asks for it; {why}")
    info = structs.replace(model.info, note="; ".join(part for part in (model.info.note, why) if part))
    return replace(model, info=info)


def _facts_of(model: ServingModel) -> Int8Facts:
    facts = read_sidecar(model.path).int8
    assert facts is not None, "in_int8 writes them"
    return facts


def in_int8(place: Place, exact: ServingModel, progress: Progress, figures: Figures | None = None) -> ServingModel:
    """The model in int8, from the cache or made now; its sidecar says whether it passed the gate.

    figures: to make it from; else those that are found.

    Raises ConfigurationError when there are no figures to make it from, or when it fails the canary.
    """
    figures = figures or _figures_of(place)
    key = cache_key(place, "int8", hashlib.sha256(msgspec.json.encode(figures)).hexdigest())
    folder = Cache(place.data_dir).entry(key, is_whole, lambda fresh: _build(place, exact, figures, fresh, progress))
    return load(folder / NETWORK_NAME)


def _figures_of(place: Place) -> Figures:
    figures = figures_files.find(place.source_sha256, figures_files.folders(place.data_dir))
    if figures is None:
        raise ConfigurationError(
            f"there are no int8 figures for {place.choice.name}; "
            f"`python -m models quantize {place.choice.name} --pictures FOLDER` measures them"
        )
    return figures


def _build(place: Place, exact: ServingModel, figures: Figures, folder: Path, progress: Progress) -> None:
    progress(f"preparing {place.choice.name} in int8 and timing it against fp32")
    path = folder / NETWORK_NAME
    weight_max = _WEIGHT_MAX if place.machine.byte_products else _WEIGHT_MAX_WITHOUT_BYTE_PRODUCTS
    network = int8_network(base_network(place), figures.arrays(), weight_max, figures.shifts)
    path.write_bytes(network)
    box_tolerance, score_tolerance = TOLERANCES["int8"]
    canary = structs.replace(exact.canary, box_tolerance_px=box_tolerance, score_tolerance=score_tolerance)
    found = Reference(path).detect(canary_picture(), place.side, canary.confidence, canary.nms_threshold)
    if words := disagreement(canary, found):
        raise ConfigurationError(f"int8 answers the canary picture wrongly ({words})")
    facts = judged(figures, network, place.side, speed_ratio(exact.path, path, place.side))
    served = ServingNetwork(path, spare_threads())
    pictures = proof_pictures(canary_picture(), place.side, place.side)
    meddling = batch_failure(served, pictures, [served.heads(picture[None])[0] for picture in pictures])
    carry_closer(exact, folder)
    sidecar = structs.replace(
        read_sidecar(exact.path),
        serving_sha256=sha256_of(path),
        trimmed_sha256=[],
        info=structs.replace(
            exact.info,
            precision="int8",
            batch_invariant=exact.info.batch_invariant and not meddling,
            trimming=INT8_TRIMMING if exact.info.dynamic_size else None,
        ),
        canary=canary,
        int8=facts,
    )
    write_sidecar(path, sidecar)


def base_network(place: Place) -> ModelProto:
    """What calibration measures and int8 is made of: the serving form, the same on every machine."""
    return simplified(serving_form(read_export(place.choice.path), place.side, spare_threads()))


def int8_network(
    base: ModelProto, ranges: Ranges, weight_max: int = _WEIGHT_MAX, shifts: Mapping[str, float] | None = None
) -> bytes:
    """The int8 network as bytes of an ONNX file, always the same for the same ranges and shifts."""
    network = quantised(base, ranges, pixel_rule(base), weight_max, shifts)
    return bytes(network.SerializeToString(deterministic=True))


def judged(figures: Figures, network: bytes, side: int, ratio: float) -> Int8Facts:
    """Both halves of the gate: the accuracy that was measured on this very network, and the speed here."""
    problems = shortcomings(figures.accuracy)
    mend = f"`python -m models quantize {figures.name} --pictures FOLDER` judges it"
    if hashlib.sha256(network).hexdigest() != figures.network_sha256:
        problems = [f"its figures were judged on another network than is made here; {mend}"]
    elif figures.side != side:
        problems = [f"its figures were judged at {figures.side}×{figures.side}, not at {side}×{side}; {mend}"]
    slow = too_slow(ratio)
    return Int8Facts(
        speed_ratio=round(ratio, 2),
        accuracy={name: float(value) for name, value in structs.asdict(figures.accuracy).items()},
        shortcomings=[*problems, slow] if slow else problems,
    )


def speed_ratio(exact: Path, rounded: Path, side: int) -> float:
    """How many times as fast the second network is, one thread, runs interleaved, in processor time."""
    picture = np.random.default_rng(3).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    networks = (ServingNetwork(exact, 1), ServingNetwork(rounded, 1))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TIMED_RUNS):
        for network, spent in zip(networks, times, strict=True):
            started = time.thread_time()
            network.run(picture)
            spent.append(time.thread_time() - started)
    return min(times[0]) / max(min(times[1]), 1e-9)


def _words(facts: Int8Facts) -> str:
    found = facts.accuracy
    return (
        f"{found['lost']:.0f} lost and {found['gained']:.0f} gained of {found['faces']:.0f} faces, "
        f"{facts.speed_ratio} times as fast as fp32 here"
    )
