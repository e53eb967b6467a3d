"""The house's rules as functions over source text, so that the tests can show that each can fail."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.arrows import named
from tests.architecture.house import HOUSE

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = tuple(package for package in HOUSE if (ROOT / package).is_dir() and "." not in package)
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400

#: The service's, and that of the client, which stands alone.
ENVIRONMENT_OWNERS = ("shared/environment.py", "client/place.py")
#: Adapters to other servers, which pass their workers' options through the environment.
ENVIRONMENT_FOREIGN = "loadtest/peers/"
UNPICKLERS = {"pickle", "cPickle", "dill", "marshal", "shelve"}
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")


def sources() -> Iterator[tuple[str, str]]:
    """(path from the root, text) of every module of ours but the tests."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def unpicklers(text: str) -> set[str]:
    """Modules that a source imports and that make objects of strangers' bytes."""
    return {module for module, _ in named(text)} & UNPICKLERS


def reads_environment(path: str, text: str) -> bool:
    if path in ENVIRONMENT_OWNERS or path.startswith(ENVIRONMENT_FOREIGN):
        return False
    return bool(re.search(r"\bos\.(environ|getenv|putenv)\b|from os import .*environ", text))


def long_functions(text: str) -> list[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return [node.name for node in found if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX]


def globals_used(text: str) -> bool:
    return any(isinstance(node, ast.Global) for node in ast.walk(ast.parse(text)))


def shadows_standard_library(path: str) -> bool:
    name = Path(path).stem
    return name in sys.stdlib_module_names and not name.startswith("__")


def swallows_everything(text: str) -> list[int]:
    """Lines of handlers that catch every exception and do nothing."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")))
        and all(isinstance(statement, ast.Pass) for statement in node.body)
    ]
