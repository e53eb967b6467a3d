"""A model's closer network: proven as the model is, beside it in every entry, and never silently missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.ensure import ensure
from models.preparing import place
from models.proving.proof import ServingNetwork, difference, proof_pictures
from models.proving.reference import Reference
from models.rewriting.graphs import with_free_sides
from models.served.facts import ServingModel, load
from shared.canary import canary_picture
from shared.errors import ConfigurationError
from tests.networks import Form, bake_side, random_network
from tests.unit.models.material import SIDE, prepared, prepared_with_closer, settings_for, with_closer
from tests.unit.shared.test_gpus import TWO_CARDS, driver_that_says


def made(path: Path, folder: Path, **settings: object) -> ServingModel:
    return ensure(settings_for(folder, str(path), **{"precision": "fp32"} | settings), lambda _: None)


def closer_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}_closer.onnx")


def bytes_of(model: ServingModel) -> bytes:
    assert model.closer is not None
    assert model.closer.parent == model.path.parent
    return model.closer.read_bytes()


@pytest.mark.parametrize("side", [96, 192, 288])
def test_prepared_it_answers_as_its_file_does_at_any_side_and_in_batches(tmp_path: Path, side: int) -> None:
    path = with_closer(tmp_path)
    model = made(path, tmp_path)
    assert model.closer is not None
    pictures = proof_pictures(canary_picture(), side, side)
    file, other = (Reference(with_free_sides_of(one)) for one in (closer_of(path), path))
    for picture, answer in zip(pictures, ServingNetwork(model.closer).heads(np.stack(pictures)), strict=True):
        assert difference(answer, file.heads(picture)).small
        assert not difference(answer, other.heads(picture)).small


def with_free_sides_of(path: Path) -> bytes:
    return bytes(with_free_sides(onnx.load(path)).SerializeToString())


def test_a_model_without_one_has_none(tmp_path: Path) -> None:
    assert prepared(tmp_path).closer is None


def test_half_precision_carries_it_along_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver_that_says(TWO_CARDS, tmp_path, monkeypatch)
    model = made(with_closer(tmp_path), tmp_path, precision="auto")
    assert model.info.precision == "fp16"
    assert model.full is not None
    assert bytes_of(model) == bytes_of(model.full)
    assert place.is_whole(model.path.parent)


def test_another_one_makes_the_prepared_model_stale(tmp_path: Path) -> None:
    path = with_closer(tmp_path)
    first = made(path, tmp_path)
    assert made(path, tmp_path).path == first.path
    with_closer(tmp_path, seed=2)
    second = made(path, tmp_path)
    assert second.path.read_bytes() == first.path.read_bytes()
    assert bytes_of(second) != bytes_of(first)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"no network")])
def test_a_damaged_one_in_the_cache_is_made_again(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    first = prepared_with_closer(tmp_path)
    before = bytes_of(first)
    damage(first.path.with_name("closer.onnx"))
    assert bytes_of(prepared_with_closer(tmp_path)) == before
    assert load(first.path).closer == first.closer


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def of_one_size(path: Path) -> None:
    bake_side(random_network(path, Form(side=SIDE, reshape="baked"), resize="baked"), SIDE)


def with_neighbours_that_meddle(path: Path) -> None:
    random_network(path, Form(side=SIDE), contaminated=True)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (Path.unlink, "No such file"),
        (truncated, "not a readable ONNX file"),
        (of_one_size, "at other sizes"),
        (with_neighbours_that_meddle, "neighbours"),
    ],
)
def test_without_a_fit_one_the_model_is_refused_in_words_also_when_it_was_served_before(
    tmp_path: Path, spoil: Callable[[Path], object], why: str
) -> None:
    path = with_closer(tmp_path)
    made(path, tmp_path)
    spoil(closer_of(path))
    with pytest.raises(ConfigurationError, match=rf"_closer\.onnx: .*{why}.*put the file of this release beside"):
        made(path, tmp_path)
