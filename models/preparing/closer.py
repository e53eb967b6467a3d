"""Makes and proves a model's closer network beside the prepared one; entries of other precisions carry it along."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from models.catalogue.fetch import sha256_of
from models.preparing.export import oracles, read_export, serving_form
from models.preparing.place import Place, without_closer
from models.proving.proof import ServingNetwork, prove
from models.rewriting.graphs import copied
from models.rewriting.widen import widen
from models.served.facts import CLOSER_NAME, ServingModel
from shared.canary import canary_picture
from shared.errors import ConfigurationError

#: Pixels of the sides at which it is proven: a sheet of four finds. It is to answer any other as well.
_SIDE = 160


def add_closer(place: Place, folder: Path, threads: int) -> str:
    """Writes it into the entry `folder`; its sum, empty for a model without one. Raises ConfigurationError."""
    source, path = place.choice.closer, folder / CLOSER_NAME
    if source is None:
        return ""
    try:
        export = read_export(source)
        original, resized = oracles(export, threads)
        served = copied(serving_form(export, _SIDE, threads))
        widen(served.graph, place.machine.float_block, place.machine.float_block)
        onnx.save(served, path)
        size = export.own_size or (_SIDE, _SIDE)
        proof = prove(ServingNetwork(path, threads), original, resized, canary_picture(), size)
    except ConfigurationError as error:
        raise without_closer(place.choice, error) from error
    if not proof.alone.small or proof.batched or proof.resized or resized is None:
        why = proof.batched or proof.resized or f"prepared ({proof.alone}) or at other sizes it answers otherwise"
        raise without_closer(place.choice, f"{source}: {why}")
    return sha256_of(path)


def carry_closer(model: ServingModel, folder: Path) -> None:
    """Copies it into the entry of another precision, whose sidecar speaks of it as the model's does."""
    if model.closer is not None:
        shutil.copyfile(model.closer, folder / CLOSER_NAME)
