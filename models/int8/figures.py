"""Figures measured once per model: the ranges of its tensors, and how int8 made from them compares with fp32.

They are found by the sum of the source file, in <data_dir>/ranges (made by `python -m models quantize`) and in
models/ranges (shipped).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.proving.gate import Accuracy
from shared.errors import ConfigurationError

SHIPPED_FOLDER = Path(__file__).resolve().parents[1] / "ranges"
FILES_MAX = 256
FILE_BYTES_MAX = 4 << 20


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One file. calibrated_on, judged_on: the pictures, in words; they have none in common.

    ranges: tensor → [low, high], or a list of such pairs, one per channel. shifts: logits of a head → what is added
    to them in int8. network_sha256: of the very int8
    network that was judged, at inputs of side×side; accuracy says nothing of any other.
    """

    name: str
    source_sha256: str
    calibrated_on: str
    judged_on: str
    network_sha256: str
    side: int
    accuracy: Accuracy
    ranges: dict[str, list[float | list[float]]]
    shifts: dict[str, float] = {}

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """The ranges as `models/int8/quantize.py` takes them."""
        return {name: np.array(values, dtype=np.float64) for name, values in self.ranges.items()}


def folders(data_dir: Path) -> tuple[Path, Path]:
    """Where figures are looked for, the user's own first."""
    return data_dir / "ranges", SHIPPED_FOLDER


def find(source_sha256: str, where: Iterable[Path]) -> Figures | None:
    """The figures of a source; None where there are none. Raises ConfigurationError for a file that is broken."""
    for folder in where:
        for path in sorted(folder.glob("*.json"))[:FILES_MAX]:
            figures = read(path)
            if figures.source_sha256 == source_sha256:
                return figures
    return None


def read(path: Path) -> Figures:
    """One file of figures. Raises ConfigurationError."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(FILE_BYTES_MAX), type=Figures)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path}: not a file of int8 figures ({error}); remove it or make it again") from error


def write(figures: Figures, folder: Path) -> Path:
    """As <name>.json in `folder`, which is made; whole or not at all. One line per tensor, for the eye and diffs."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{figures.name}.json"
    fresh = place.with_suffix(".part")
    rest = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(figures, ranges={})), indent=1).decode()
    lines = [f"  {_text(name)}: {_text(values)}" for name, values in figures.ranges.items()]
    body = ",\n".join(lines)
    fresh.write_text(rest.replace('"ranges": {}', f'"ranges": {{\n{body}\n }}') + "\n", encoding="utf-8")
    fresh.replace(place)
    return place


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
