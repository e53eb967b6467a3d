"""Which pictures there are, and where each one's answer goes. Looks at names, opens no picture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: What the service reads, by the ends of names.
PICTURES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".heic", ".heif", ".avif")
)
#: The formats of masked pictures, with the ends of names that already say so; the first is given to others.
SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "webp": (".webp",),
    "avif": (".avif",),
}
#: The format in which the picture came, where masked pictures can have it, else JPEG.
SAME = "same"


class PlanError(Exception):
    """The folders cannot be used like this. Its text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A picture to send. name: path below the folder it was found in, with slashes. size, changed: of the file."""

    path: Path
    name: str
    size: int
    changed: int


def sources(given: Iterable[Path], without: Path | None = None) -> list[Source]:
    """The pictures named and those below the folders named, in order of their names; none below `without`.

    Hidden files and linked folders are left out. Raises PlanError when something is not there or two share a name.
    """
    found: dict[str, Source] = {}
    for root in given:
        if not root.exists():
            raise PlanError(f"{root} is not there")
        for path in _below(root, without) if root.is_dir() else [root]:
            source = _source(path, root if root.is_dir() else root.parent)
            if (other := found.setdefault(source.name, source)).path != path:
                raise PlanError(f"{other.path} and {path} would have the same name; do them one after the other")
    return [found[name] for name in sorted(found)]


def _below(root: Path, without: Path | None) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if not name.startswith(".") and not _same(here / name, without)]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURES:
                yield here / name


def _same(one: Path, other: Path | None) -> bool:
    return other is not None and one.resolve() == other.resolve()


def _source(path: Path, root: Path) -> Source:
    facts = path.stat()
    return Source(path, path.relative_to(root).as_posix(), facts.st_size, facts.st_mtime_ns)


def refuse_mixing(given: Iterable[Path], output: Path) -> None:
    """Masked pictures never lie among originals. Raises PlanError."""
    for root in given:
        folder = root if root.is_dir() else root.parent
        if _same(folder, output) or output.resolve() in folder.resolve().parents:
            raise PlanError(f"{output} holds originals; give a folder of its own with -o")


def format_of(name: str, wanted: str) -> str:
    """The format that the masked picture of this name is asked in."""
    if wanted != SAME:
        return wanted
    suffix = Path(name).suffix.lower()
    return next((known for known, suffixes in SUFFIXES.items() if suffix in suffixes), "jpeg")


def masked_name(name: str, output_format: str) -> str:
    """Its own name where that says the format, else with the format's end behind it: `a.tif` becomes `a.tif.jpg`."""
    suffixes = SUFFIXES[output_format]
    return name if Path(name).suffix.lower() in suffixes else name + suffixes[0]


def masked_names(pictures: Iterable[Source], wanted: str) -> dict[str, str]:
    """name → name of its masked picture. Raises PlanError when two would share one."""
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    for picture in pictures:
        target = masked_name(picture.name, format_of(picture.name, wanted))
        if target in owners:
            raise PlanError(f"{owners[target]} and {picture.name} would both become {target}; rename one")
        owners[target], names[picture.name] = picture.name, target
    return names
