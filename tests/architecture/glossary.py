"""The glossary of ARCHITECTURE.md against the names of the product. Functions over text."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

#: What the rule is about: what is served with. Tools for training and examples for callers speak of more.
PRODUCT = ("shared/", "gateway/", "worker/", "models/", "deploy/")
APART = ("models/training/", "gateway/docs/assets/")


class Entry(NamedTuple):
    word: str
    #: Where it is: a file, a file and a name in it, or a setting.
    where: list[str]
    #: What no name may contain: a word, or the beginning of a constant where it ends with a low line.
    never: list[str]


def entries(page: str) -> list[Entry]:
    table = page.partition("## Glossary")[2]
    rows = [line.strip("| ").split(" |") for line in table.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row] + [""] * (4 - len(row)) for row in rows]
    return [
        Entry(word, re.findall(r"`([^`]+)`", where), re.findall(r"\w+", never))
        for word, _, where, never, *_ in cells
        if word not in ("word", "---")
    ]


def product(sources: Mapping[str, str]) -> dict[str, str]:
    return {path: text for path, text in sources.items() if path.startswith(PRODUCT) and not path.startswith(APART)}


def missing(entry: Entry, sources: Mapping[str, str], settings: Iterable[str]) -> list[str]:
    """What the entry points at and is not there."""
    return [spot for spot in entry.where if spot not in settings and not _defined(spot, sources)]


def _defined(spot: str, sources: Mapping[str, str]) -> bool:
    path, _, name = spot.partition(":")
    return path in sources and (not name or name in {defined for defined, _ in _definitions(sources[path])})


def _definitions(text: str) -> Iterator[tuple[str, ast.AST]]:
    """(name, node) of all that a module itself defines."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, node) for target in targets if isinstance(target, ast.Name))


def names(path: str, text: str) -> set[str]:
    """Every name that a module gives: its own, its classes', functions', parameters' and values'."""
    found = set(path.removesuffix(".py").split("/"))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


def forbidden(name: str, never: Iterable[str]) -> list[str]:
    """Of the words that may not be, those in a name."""
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    return [word for word in never if (name.lstrip("_").startswith(word) if word.endswith("_") else word in words)]


def doubles(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Names of classes that are defined in several modules, and where."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                found[node.name].add(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}
