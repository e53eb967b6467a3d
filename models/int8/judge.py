"""Makes the figures of a model: ranges from some pictures, accuracy of int8 on others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.int8.best import base_network, int8_network
from models.int8.calibrate import MOSAICS, measured_ranges, measured_shifts, mosaics, picture_files, read_pictures
from models.int8.figures import Figures
from models.preparing.place import Place
from models.proving.gate import compare
from models.proving.proof import ServingNetwork
from models.proving.runtime import spare_threads
from models.served.facts import ServingModel
from models.served.trim import INT8_TRIMMING
from shared.errors import ConfigurationError

#: Fewer pictures than this calibrate nothing.
PICTURES_MIN = 8
#: Where one folder serves for both, every so-manieth picture is kept for judging.
_JUDGING_SHARE = 4


@dataclass(frozen=True, slots=True)
class Split:
    """Two sets with no file in common, and what they are in words."""

    calibration: Sequence[Path]
    judging: Sequence[Path]
    calibrated_on: str
    judged_on: str


def pictures_from(folders: Sequence[Path], judging_folder: Path | None) -> Split:
    """All of `folders` for calibration and all of the other for judging; without another, a quarter is for judging.

    Raises ConfigurationError for too few, or when a picture is in both.
    """
    files = sorted({path for folder in folders for path in picture_files(folder)})
    named = " and ".join(folder.name for folder in folders)
    if judging_folder is None:
        judging = files[::_JUDGING_SHARE]
        files = [path for path in files if path not in set(judging)]
        judged_on = f"{len(judging)} other pictures of {named}"
    else:
        judging = picture_files(judging_folder)
        judged_on = f"{len(judging)} pictures of {judging_folder.name}"
    if min(len(files), len(judging)) < PICTURES_MIN:
        raise ConfigurationError(
            f"{len(files)} pictures to calibrate on and {len(judging)} to judge on; {PICTURES_MIN} of each are needed, "
            "better hundreds, of the kind you will serve"
        )
    if _sums(files) & _sums(judging):
        raise ConfigurationError("some pictures are in both folders; what was calibrated on cannot judge")
    calibrated_on = f"{MOSAICS} mosaics of {len(files)} pictures of {named}"
    return Split(files, judging, calibrated_on, judged_on)


def _sums(files: Sequence[Path]) -> set[bytes]:
    return {hashlib.sha256(path.read_bytes()).digest() for path in files}


def make_figures(place: Place, exact: ServingModel, pictures: Split, progress: Callable[[str], None]) -> Figures:
    """Measures, builds and compares; minutes rather than seconds."""
    progress(f"measuring on {pictures.calibrated_on}")
    base = base_network(place)
    ranges = measured_ranges(base, mosaics(pictures.calibration, place.side))
    shifts = measured_shifts(base, int8_network(base, ranges), mosaics(pictures.calibration, place.side))
    network = int8_network(base, ranges, shifts=shifts)
    progress(f"comparing int8 with fp32 on {pictures.judged_on}")
    threads = spare_threads()
    accuracy = compare(
        ServingNetwork(exact.path, threads),
        ServingNetwork(network, threads),
        read_pictures(pictures.judging),
        place.side,
        INT8_TRIMMING if exact.info.dynamic_size else None,
    )
    return Figures(
        name=place.choice.name,
        source_sha256=place.source_sha256,
        calibrated_on=pictures.calibrated_on,
        judged_on=pictures.judged_on,
        network_sha256=hashlib.sha256(network).hexdigest(),
        side=place.side,
        accuracy=accuracy,
        ranges={name: values.tolist() for name, values in ranges.items()},
        shifts=shifts,
    )
