"""A model file as a service on this machine would serve it, for judging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from models.catalogue.choose import Choice, choose_file
from models.ensure import prepared
from models.int8 import figures
from models.int8.judge import make_figures, pictures_from
from models.preparing.place import Place
from models.preparing.prepare import place_of, prepared_fp32
from models.training.judge.detect import SIDE, OnnxDetector
from models.training.material.folder import DEFAULT_FOLDER
from shared.settings import Precision, Settings

FORMS: tuple[Precision, ...] = ("fp32", "int8")
#: What ranges are measured on, shipped ones too: these folders, not whatever lies beside them.
FOR_RANGES = [DEFAULT_FOLDER / "backgrounds", DEFAULT_FOLDER / "portraits"]


def closer_of(model: Path) -> Path | None:
    """The closer network that lies beside the file; None for a model without one."""
    closer = choose_file(model).closer
    return closer if closer and closer.is_file() else None


def alone(choice: Choice) -> Choice:
    """The model as one that has no closer network: new weights are judged before they have one."""
    return replace(choice, spec=choice.spec and replace(choice.spec, closer=""))


@dataclass(frozen=True)
class Workshop:
    """data_dir: prepared networks and figures are kept there. calibration, judging: folders for the figures of
    models that come without; progress: told what takes long."""

    data_dir: Path
    calibration: Sequence[Path]
    judging: Path
    progress: Callable[[str], None]

    def detector(
        self, model: Path, form: Precision, side: int = SIDE, threads: int = 1, *, closer: bool = False
    ) -> OnnxDetector:
        """In fp32 or int8. In int8 it is made whether it passes its gate or not. closer: with its closer network.

        Raises ConfigurationError for no model, or one that answers the canary picture wrongly.
        """
        settings = Settings(data_dir=str(self.data_dir), precision=form, input_side=side, accelerator="cpu")
        choice = choose_file(model) if closer_of(model) else alone(choose_file(model))
        place = place_of(choice, settings)
        if form == "int8" and figures.find(place.source_sha256, figures.folders(place.data_dir)) is None:
            self._measure(place)
        network = prepared(choice, settings, self.progress)
        trimming = network.info.trimming if form == "int8" else None
        detector = OnnxDetector(network.path, threads, trimming, side)
        detector.source = place.source_sha256
        detector.name = f"{model.stem} {form}" + (f" {side}" if side != SIDE else "")
        if closer and network.closer:
            detector.closer = OnnxDetector(network.closer, threads)
            detector.name += ", closer"
        return detector

    def _measure(self, place: Place) -> None:
        exact = prepared_fp32(place, self.progress)
        made = make_figures(place, exact, pictures_from(self.calibration, self.judging), self.progress)
        named = structs.replace(made, name=f"{made.name}-{place.source_sha256[:12]}")
        figures.write(named, figures.folders(place.data_dir)[0])
