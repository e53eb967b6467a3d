"""Which model file serves, and why: FACE_API_MODEL as a name, a path, or `auto` for the best one found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.catalogue.fetch import sha256_of
from models.catalogue.registry import OPEN_FOLDER, OPEN_MODEL, SPECS, ModelSpec, spec_for_file, spec_named
from shared.errors import ConfigurationError
from shared.settings import Settings

#: Files looked at per folder, and the largest that is read; no SCRFD comes near it.
FILES_MAX = 256
FILE_BYTES_MAX = 512 * 1024 * 1024
BEST = "scrfd_10g"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file in a model folder and the model it is."""

    path: Path
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class Choice:
    """The file to serve. spec: None for a file of the user's own. reason: one sentence for the start block."""

    path: Path
    name: str
    spec: ModelSpec | None
    reason: str

    @property
    def license(self) -> str:
        """For /health and the start block."""
        return self.spec.license if self.spec else "unknown: a model of your own"

    @property
    def closer(self) -> Path | None:
        """Where its closer network has to lie; None for a model without one."""
        return self.path.with_name(self.spec.closer) if self.spec and self.spec.closer else None


def folders(settings: Settings) -> list[Path]:
    """Where models are looked for, in order: model_dir, pulled ones, the one that ships."""
    named = [Path(folder) for folder in settings.model_dir.split(":") if folder]
    return [*named, pulled_folder(settings), OPEN_FOLDER]


def pulled_folder(settings: Settings) -> Path:
    """Where `python -m models pull` puts them."""
    return Path(settings.data_dir) / "models"


def choose(settings: Settings) -> Choice:
    """The model these settings ask for. Raises ConfigurationError with the command that mends it."""
    wanted = settings.model
    if wanted != "auto" and spec_named(wanted) is None:
        return choose_file(Path(wanted))
    return decide(wanted, search(folders(settings)), folders(settings))


def decide(wanted: str, found: Sequence[ModelFile], looked_in: Iterable[Path]) -> Choice:
    """The choice among the files found, in search order. wanted: "auto" or a model's name."""
    places = ", ".join(str(folder) for folder in looked_in)
    if wanted == "auto":
        if not found:
            raise ConfigurationError(
                f"no model found in {places}; run `python -m models pull {BEST}`, "
                "or name an ONNX file with FACE_API_MODEL"
            )
        best = max(found, key=lambda file: file.spec.rank)
        return Choice(best.path, best.spec.name, best.spec, _auto_reason(best, found))
    match = next((file for file in found if file.spec.name == wanted), None)
    if match is None:
        raise ConfigurationError(f"FACE_API_MODEL={wanted}: not found in {places}; {_mend(wanted, found)}")
    return Choice(match.path, wanted, match.spec, f"{wanted} ({match.path}), because FACE_API_MODEL names it")


def choose_file(path: Path) -> Choice:
    """A file by its path, known or not. Raises ConfigurationError when it is none."""
    if not path.is_file():
        known = ", ".join(spec.name for spec in SPECS)
        raise ConfigurationError(
            f"FACE_API_MODEL={path}: neither a file nor a known model name ({known}, auto); see `python -m models list`"
        )
    spec = recognise(path)
    name = spec.name if spec else path.stem
    return Choice(path, name, spec, f"{name}, because FACE_API_MODEL is the path {path}")


def search(where: Iterable[Path]) -> list[ModelFile]:
    """Every known model in these folders, in order; folders that are not there are passed over."""
    found = []
    for folder in where:
        try:
            files = sorted(folder.glob("*.onnx"))[:FILES_MAX]
        except OSError:
            continue
        found += [ModelFile(path, spec) for path in files if (spec := recognise(path)) is not None]
    return found


def recognise(path: Path) -> ModelSpec | None:
    """The model that a file is by its sum or its name; None for a stranger or what is no file."""
    try:
        size = path.stat().st_size if path.is_file() else 0
        # Only a file of a known size is worth summing.
        known_size = any(spec.size == size for spec in SPECS if spec.sha256)
        digest = sha256_of(path) if known_size else ""
    except OSError:
        return None
    return spec_for_file(path.name, size, digest) if 0 < size <= FILE_BYTES_MAX else None


def _auto_reason(best: ModelFile, found: Sequence[ModelFile]) -> str:
    name = best.spec.name
    if name == OPEN_MODEL:
        return (
            f"{name}, the open model that ships, because no other was found; `python -m models pull {BEST}` "
            "is more accurate, under its own licence"
        )
    others = sorted({file.spec.name for file in found} - {name})
    rest = f" (also found: {', '.join(others)})" if others else ""
    return f"{name} ({best.path}), the best of the models found{rest}"


def _mend(wanted: str, found: Sequence[ModelFile]) -> str:
    spec = spec_named(wanted)
    if spec is not None and spec.sources:
        return f"run `python -m models pull {wanted}`"
    names = sorted({file.spec.name for file in found})
    return f"found are {', '.join(names)}" if names else f"run `python -m models pull {BEST}` and name that"
