"""Any SCRFD export → the serving form, proven and cached. This file alone knows the order of the steps.

read → inspect → rewrite → proof → canary → written whole into the cache, with its sidecar
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from models.catalogue.choose import Choice
from models.catalogue.fetch import sha256_of
from models.preparing.cache import Cache
from models.preparing.closer import add_closer
from models.preparing.export import canary_oracle, oracles, read_export, serving_form
from models.preparing.machine import this_machine
from models.preparing.place import Place, cache_key, is_whole
from models.preparing.trimmed import add_trimmed
from models.proving.expectation import expectation
from models.proving.proof import Proof, ServingNetwork, prove
from models.proving.runtime import spare_threads
from models.rewriting.black_edge import Untrimmable
from models.rewriting.graphs import copied
from models.rewriting.surgery import is_sizeless
from models.rewriting.widen import widen
from models.served.facts import (
    NETWORK_NAME,
    SERVING_FORM,
    TRIMMED_NAMES,
    ModelFacts,
    ServingModel,
    Sidecar,
    load,
    write_sidecar,
)
from models.served.trim import Trimming
from shared.canary import canary_picture
from shared.errors import ConfigurationError
from shared.settings import Settings

Progress = Callable[[str], None]


def place_of(choice: Choice, settings: Settings) -> Place:
    """Where the chosen file's prepared forms lie for these settings on this machine."""
    return Place(choice, settings.input_side, Path(settings.data_dir), this_machine(settings.accelerator))


def prepared_fp32(place: Place, progress: Progress) -> ServingModel:
    """In the export's own arithmetic."""
    key = cache_key(place, "fp32")
    folder = Cache(place.data_dir).entry(key, is_whole, lambda fresh: _build(place, fresh, progress))
    return load(folder / NETWORK_NAME)


def _build(place: Place, folder: Path, progress: Progress) -> None:
    """Makes one entry in `folder`."""
    choice, side = place.choice, place.side
    progress(f"preparing {choice.name} once for this machine")
    threads, picture, path = spare_threads(), canary_picture(), folder / NETWORK_NAME
    export = read_export(choice.path)
    original, resized = oracles(export, threads)
    served = copied(serving_form(export, side, threads))
    sizeless = is_sizeless(served)
    widen(served.graph, place.machine.float_block, place.machine.float_block)
    onnx.save(served, path)
    oracle = canary_oracle(export, original, resized, path, sizeless=sizeless, side=side)
    proof = prove(ServingNetwork(path, threads), original, resized, picture, export.own_size or (side, side))
    if not proof.alone.small:
        raise ConfigurationError(
            f"{choice.path}: once prepared, this network does not answer as the original does ({proof.alone}), "
            "so it is not served; name another model with FACE_API_MODEL"
        )
    dynamic_size = not proof.resized and (resized is not None or sizeless)
    trimming = _trimming(path, side, threads, progress) if dynamic_size and not proof.batched else None
    facts = ModelFacts(
        name=choice.name,
        precision="fp32",
        input_side=side,
        landmarks=len(served.graph.output) == 9,
        batch_invariant=not proof.batched,
        dynamic_size=dynamic_size,
        license=choice.license,
        source_sha256=place.source_sha256,
        trimming=trimming,
        exact_pixels=choice.spec is None or choice.spec.exact_pixels,
        note=_note(proof, dynamic_size=dynamic_size, side=side),
    )
    sidecar = Sidecar(
        form=SERVING_FORM,
        serving_sha256=sha256_of(path),
        trimmed_sha256=[sha256_of(folder / name) for name in TRIMMED_NAMES if trimming],
        closer_sha256=add_closer(place, folder, threads),
        info=facts,
        canary=expectation(oracle, picture, side, "fp32"),
        proof={"score_difference": proof.alone.score, "distance_difference": proof.alone.distance},
    )
    write_sidecar(path, sidecar)
    progress(f"{choice.name} proven equal to its original ({proof.alone})" + (f"; {facts.note}" if facts.note else ""))


def _trimming(path: Path, side: int, threads: int, progress: Progress) -> Trimming | None:
    """With the networks for it written beside the prepared one; where there can be none, pictures are run whole."""
    try:
        return add_trimmed(path, side, threads)
    except (Untrimmable, ConfigurationError) as reason:
        for name in TRIMMED_NAMES:
            path.with_name(name).unlink(missing_ok=True)
        progress(f"run with all the black beside pictures that are not square: {reason}")
        return None


def _note(proof: Proof, *, dynamic_size: bool, side: int) -> str:
    parts = []
    if proof.batched:
        parts.append(f"served one picture at a time: {proof.batched}")
    if not dynamic_size:
        parts.append(
            f"served at {side}×{side} only, second looks too" + (f": {proof.resized}" if proof.resized else "")
        )
    return "; ".join(parts)
