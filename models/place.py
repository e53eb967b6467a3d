"""Which cache entry belongs to a model on this machine: everything that could change it goes into its key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import onnx
import onnxruntime

from models.choose import FILE_BYTES_MAX, Choice, sha256_of
from models.machine import Machine
from models.serving import NETWORK_NAME, TRIMMED_NAMES, read_sidecar
from shared.errors import ConfigurationError

#: Modules whose change makes every prepared model stale.
_CODE = (
    "black_edge", "byte_stem", "cheaper", "equalise", "expectation", "export", "gate", "graphs", "int8", "int8_heads",
    "int8_work", "pixels", "prepare", "proof", "quantize", "reference", "surgery",
    "trim", "trimmed", "widen",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A chosen file, the side of its input, the data folder, and the machine it is prepared for."""

    choice: Choice
    side: int
    data_dir: Path
    machine: Machine

    @cached_property
    def source_sha256(self) -> str:
        """The file's sum. Raises ConfigurationError for one that is too large or cannot be read."""
        path = self.choice.path
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise ConfigurationError(f"{path}: larger than {FILE_BYTES_MAX >> 20} MiB, which no SCRFD model is")
            return sha256_of(path)
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error


def cache_key(place: Place, precision: str, *more: str) -> str:
    """Changes with whatever could change the prepared network or its sidecar."""
    code = hashlib.sha256()
    for module in _CODE:
        code.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    machine, choice = place.machine, place.choice
    parts = (place.source_sha256, choice.name, choice.license, precision, str(place.side), repr(machine), *more)
    versions = (onnxruntime.__version__, onnx.__version__, code.hexdigest())
    return hashlib.sha256("\n".join([*parts, *versions]).encode()).hexdigest()[:32]


def is_whole(folder: Path) -> bool:
    """Whether a cache entry can be served: a readable sidecar and the very networks it speaks of."""
    path = folder / NETWORK_NAME
    try:
        sidecar = read_sidecar(path)
        trimmed = [sha256_of(path.with_name(name)) for name in TRIMMED_NAMES if sidecar.trimmed_sha256]
        return sidecar.serving_sha256 == sha256_of(path) and sidecar.trimmed_sha256 == trimmed
    except (ConfigurationError, OSError):
        return False
