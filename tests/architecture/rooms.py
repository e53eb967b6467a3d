"""Which room of a package may import which, and what imports run in a circle: functions over source text."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

#: For each room of models/ the others it may import. `models` itself: the ways in, which stand above all rooms.
MAY_IMPORT: dict[str, set[str]] = {
    "models.served": set(),
    "models.catalogue": set(),
    "models.proving": {"models.served"},
    "models.rewriting": {"models.served"},
    "models.preparing": {"models.catalogue", "models.rewriting", "models.proving", "models.served"},
    "models.int8": {"models.preparing", "models.catalogue", "models.rewriting", "models.proving", "models.served"},
    "models": {
        "models.int8", "models.preparing", "models.catalogue", "models.rewriting", "models.proving", "models.served",
    },
    "models.training.material": set(),
    "models.training.scenes": {"models.training.material", "models.training"},
    "models.training.network": {"models.training", "models.served"},
    "models.training.run": {
        "models.training.network", "models.training.scenes", "models.training.material", "models.served",
    },
    "models.training.judge": {"models.training.scenes", "models.training.material", "models.served"},
    "models.training.export": {
        "models.training.run", "models.training.judge", "models.training.network", "models.training.scenes",
        "models.training.material", "models.served",
    },
    "models.training": set(),
    "worker": {"models.served"},
}  # fmt: skip
#: What the worker's package needs beyond: the pool prepares before workers start; a card is given a network of its own.
BEYOND = {("worker.pool", "models.ensure"), ("worker.detector_gpu", "models.rewriting.gpu_form")}


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def room_of(module: str) -> str | None:
    """The innermost room a module stands in; None where there are no rooms."""
    parts = module.split(".")
    return next((room for end in range(len(parts), 0, -1) if (room := ".".join(parts[:end])) in MAY_IMPORT), None)


def imported(text: str, modules: frozenset[str]) -> set[str]:
    """Those of `modules` that a source imports, wherever the import stands."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            # A package's own file only where something is taken from it that is no module.
            named |= inner & modules or {node.module}
    return named & modules


def upward(path: str, text: str, modules: frozenset[str]) -> list[str]:
    """What a source imports from rooms that its own may not."""
    module = module_of(path)
    own = room_of(module)
    if own is None:
        return []
    allowed = {own, *MAY_IMPORT[own]}
    return sorted(
        name
        for name in imported(text, modules)
        if (room := room_of(name)) and room not in allowed and (module, name) not in BEYOND
    )


def arrows(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """For every module what it imports of ours."""
    modules = frozenset(map(module_of, sources))
    return {module_of(path): imported(text, modules) - {module_of(path)} for path, text in sources.items()}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Every largest set of modules of which each is imported, by way of others, by itself."""
    reached = {start: set(_reached(start, graph)) for start in graph}
    found = {frozenset(b for b in reached[a] if a in reached[b]) for a in graph if a in reached[a]}
    return sorted(sorted(circle) for circle in found)


def _reached(start: str, graph: Mapping[str, set[str]]) -> Iterator[str]:
    seen: set[str] = set()
    left = list(graph[start])
    while left:
        module = left.pop()
        if module not in seen:
            seen.add(module)
            yield module
            left += graph.get(module, ())
