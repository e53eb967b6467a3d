"""Where these tests find the material beside the repository, and what they need of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.catalogue.registry import OPEN_MODEL, spec_named
from models.ensure import ensure
from models.served.facts import ServingModel
from shared.settings import Settings
from tests.networks import Form, random_network
from tests.service import OFFICIAL_MODELS

#: Small, so that preparing takes a fraction of a second.
SIDE = 64


def official_models() -> list[Path]:
    """The official exports beside the repository; none where it stands alone."""
    return sorted(OFFICIAL_MODELS.glob("*.onnx"))


def settings_for(folder: Path, model: str = "auto", **others: object) -> Settings:
    """Settings with everything written under `folder`, for a small input."""
    return Settings(**({"model": model, "data_dir": str(folder / "data"), "input_side": SIDE} | others))  # type: ignore[arg-type]


def prepared(folder: Path, **form: Any) -> ServingModel:
    """A network drawn by chance, as it is served in full precision."""
    path = random_network(folder / "export.onnx", Form(side=SIDE, **form))
    return ensure(settings_for(folder, str(path), precision="fp32"), lambda _: None)


def with_closer(folder: Path, *, seed: int = 1) -> Path:
    """A network drawn by chance under the open model's name; beside it another as its closer network."""
    spec = spec_named(OPEN_MODEL)
    assert spec is not None
    random_network(folder / spec.closer, Form(side=SIDE), seed=seed)
    return random_network(folder / spec.file_names[0], Form(side=SIDE))


def prepared_with_closer(folder: Path) -> ServingModel:
    return ensure(settings_for(folder, str(with_closer(folder)), precision="fp32"), lambda _: None)
