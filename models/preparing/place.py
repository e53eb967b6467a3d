"""Which cache entry belongs to a model on this machine: everything that could change it goes into its key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import onnx
import onnxruntime

from models.catalogue.choose import FILE_BYTES_MAX, Choice
from models.catalogue.fetch import sha256_of
from models.preparing.machine import Machine
from models.served.facts import CLOSER_NAME, NETWORK_NAME, TRIMMED_NAMES, read_sidecar
from shared.errors import ConfigurationError

_ROOT = Path(__file__).resolve().parents[2]
#: Modules whose change makes every prepared model stale: what preparing imports, but what only finds files and speaks.
CODE = (
    "models.ensure",
    "models.int8.best", "models.int8.equalise", "models.int8.figures", "models.int8.heads", "models.int8.pixels",
    "models.int8.quantize", "models.int8.stem", "models.int8.work",
    "models.preparing.closer", "models.preparing.export", "models.preparing.half_precision",
    "models.preparing.machine", "models.preparing.place", "models.preparing.prepare", "models.preparing.trimmed",
    "models.proving.expectation", "models.proving.gate", "models.proving.proof", "models.proving.reference",
    "models.proving.runtime",
    "models.rewriting.black_edge", "models.rewriting.cheaper", "models.rewriting.fp16", "models.rewriting.graphs",
    "models.rewriting.surgery", "models.rewriting.widen",
    "models.served.anchors", "models.served.facts", "models.served.trim",
    "shared.canary", "shared.faces", "shared.messages",
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
        return _sum_of(self.choice.path)

    @cached_property
    def closer_sha256(self) -> str:
        """The sum of its closer network, empty for a model without one. Raises ConfigurationError."""
        try:
            return _sum_of(self.choice.closer) if self.choice.closer else ""
        except ConfigurationError as error:
            raise without_closer(self.choice, error) from error


def without_closer(choice: Choice, why: object) -> ConfigurationError:
    """To raise where a model's closer network is missing or unfit."""
    return ConfigurationError(
        f"{why}; {choice.name} is not served without its closer network: put the file of this release beside "
        f"{choice.path}, or name another model with FACE_API_MODEL"
    )


def _sum_of(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigurationError(f"{path}: larger than {FILE_BYTES_MAX >> 20} MiB, which no SCRFD model is")
        return sha256_of(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error


def cache_key(place: Place, precision: str, *more: str) -> str:
    """Changes with whatever could change the prepared network or its sidecar."""
    machine, choice, sums = place.machine, place.choice, (place.source_sha256, place.closer_sha256)
    return key_of(*sums, choice.name, choice.license, precision, str(place.side), repr(machine), *more)


def key_of(*parts: str) -> str:
    """A key of these parts, of the libraries that compute, and of our code that decides."""
    code = hashlib.sha256()
    for module in CODE:
        code.update((_ROOT / f"{module.replace('.', '/')}.py").read_bytes())
    versions = (onnxruntime.__version__, onnx.__version__, code.hexdigest())
    return hashlib.sha256("\n".join([*parts, *versions]).encode()).hexdigest()[:32]


def is_whole(folder: Path) -> bool:
    """Whether a cache entry can be served: a readable sidecar and the very networks it speaks of."""
    path = folder / NETWORK_NAME
    try:
        sidecar = read_sidecar(path)
        trimmed = [sha256_of(path.with_name(name)) for name in TRIMMED_NAMES if sidecar.trimmed_sha256]
        closer = sha256_of(path.with_name(CLOSER_NAME)) if sidecar.closer_sha256 else ""
        said = sidecar.serving_sha256, sidecar.trimmed_sha256, sidecar.closer_sha256
        return said == (sha256_of(path), trimmed, closer)
    except (ConfigurationError, OSError):
        return False
