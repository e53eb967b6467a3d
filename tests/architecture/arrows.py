"""What imports what: whether each import runs down the floors of `house.py`, and none in a circle. Over source text."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from tests.architecture.house import BEYOND, BLIND, HOUSE

_FLOORS = {
    f"{package}.{room}": floor
    for package, declared in HOUSE.items()
    for floor, rooms in enumerate(declared.floors, start=1)
    for room in rooms.split()
}


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def package_of(module: str) -> str:
    """The innermost package of the house that a module stands in."""
    parts = module.split(".")
    return next(".".join(parts[:end]) for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in HOUSE)


def room_of(module: str) -> str:
    """The room of a module by its whole name; what a package itself holds is a room, too."""
    package = package_of(module)
    room, *inner = module.removeprefix(package).lstrip(".").split(".")
    command = inner if inner == ["__main__"] else []
    return ".".join(filter(None, (package, room, *command)))


@cache
def named(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(module, names taken from it) of every import, wherever it stands."""
    return tuple(_named(ast.parse(text)))


def _named(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or "", tuple(alias.name for alias in node.names)


def imported(text: str, modules: frozenset[str]) -> set[str]:
    """Those of `modules` that a source imports; a package's own file only where what is taken from it is no module."""
    found: set[str] = set()
    for module, names in named(text):
        found |= {f"{module}.{name}" for name in names} & modules or {module}
    return found & modules


def upward(path: str, text: str, modules: frozenset[str]) -> list[str]:
    """What a source imports and may not: from its own floor or a higher one, from other packages, of libraries."""
    module = module_of(path)
    tops = {name.split(".")[0] for name, _ in named(text)}
    libraries = tops & set(HOUSE[package_of(module)].without.split())
    return sorted({name for name in imported(text, modules) if not _allowed(module, name)} | libraries)


def _allowed(module: str, other: str) -> bool:
    package, room, others = package_of(module), room_of(module), room_of(other)
    if (module, other) in BEYOND or room == others:
        return True
    if package_of(other) == package:
        return _floor(others) < _floor(room) and not within(others, BLIND.get(room, ""))
    return within(other, HOUSE[package].sees)


def _floor(room: str) -> int:
    """What a package itself holds is its roof: it shows what the rooms below have, and none of them may look up."""
    return len(HOUSE[room].floors) + 1 if room in HOUSE else _FLOORS.get(room, 0)


def within(module: str, names: str) -> bool:
    """Whether a module is one of the named, or stands in one."""
    return any(module == name or module.startswith(f"{name}.") for name in names.split())


def nowhere(modules: Iterable[str]) -> set[str]:
    """Rooms that the declaration names and that are not there."""
    blind = {name for seer, names in BLIND.items() for name in (seer, *names.split())}
    return {*_FLOORS, *blind} - set(map(room_of, modules))


def graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """For every module what it imports of ours."""
    modules = frozenset(map(module_of, sources))
    return {module_of(path): imported(text, modules) - {module_of(path)} for path, text in sources.items()}


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Every largest set of modules of which each is imported, by way of others, by itself."""
    reached = {start: set(_reached(start, arrows)) for start in arrows}
    found = {frozenset(b for b in reached[a] if a in reached[b]) for a in arrows if a in reached[a]}
    return sorted(sorted(circle) for circle in found)


def _reached(start: str, arrows: Mapping[str, set[str]]) -> Iterator[str]:
    seen: set[str] = set()
    left = list(arrows[start])
    while left:
        module = left.pop()
        if module not in seen:
            seen.add(module)
            yield module
            left += arrows.get(module, ())
