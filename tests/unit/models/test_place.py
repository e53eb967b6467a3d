"""The key of a prepared model: everything that could change what is served, or what is expected of it, is in it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from models.preparing import place
from models.preparing.place import CODE, key_of

ROOT = Path(place.__file__).resolve().parents[2]
#: Where preparing begins.
BEGINNINGS = ("models.ensure",)
#: They find files, keep folders, read settings and word errors; what they find stands in the key by itself.
DECIDE_NOTHING = {
    "models.catalogue.choose", "models.catalogue.fetch", "models.catalogue.registry", "models.preparing.cache",
    "shared.errors", "shared.gpus", "shared.settings",
}  # fmt: skip


def imported(module: str) -> Iterator[str]:
    """Our modules that a module imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name for name in names if path_of(name).is_file())


def path_of(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def reached(beginnings: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    left = list(beginnings)
    while left:
        module = left.pop()
        if module not in seen:
            seen.add(module)
            left += imported(module)
    return seen


def test_every_module_that_decides_is_in_the_key_and_none_that_is_gone() -> None:
    assert reached(BEGINNINGS) - DECIDE_NOTHING == set(CODE)
    assert reached(BEGINNINGS) >= DECIDE_NOTHING


def test_what_a_deciding_module_imports_is_reached() -> None:
    assert {
        "shared.canary",
        "models.proving.expectation",
        "models.rewriting.fp16",
        "models.preparing.machine",
    } <= reached(BEGINNINGS)
    assert "worker.serve" not in reached(BEGINNINGS)


def test_the_key_changes_with_any_of_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in CODE:
        copy = tmp_path / f"{module.replace('.', '/')}.py"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path_of(module).read_bytes())
    before = key_of("a model")
    monkeypatch.setattr(place, "_ROOT", tmp_path)
    assert key_of("a model") == before
    keys = {before}
    for module in ("shared.canary", "models.proving.expectation", "models.preparing.half_precision"):
        with (tmp_path / f"{module.replace('.', '/')}.py").open("a") as file:
            file.write("#\n")
        keys.add(key_of("a model"))
    assert len(keys) == 4
