"""The rules of the house hold, and each would notice being broken."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
from pathlib import Path

import pytest

from tests.architecture import rules

SOURCES = dict(rules.sources())


def offenders(broken) -> dict[str, object]:
    return {path: found for path, text in SOURCES.items() if (found := broken(path, text))}


def test_only_the_settings_read_the_environment() -> None:
    assert offenders(rules.reads_environment) == {}
    assert rules.reads_environment("gateway/planted.py", "import os\nport = os.environ['PORT']")
    assert rules.reads_environment("gateway/planted.py", "import os\nport = os.getenv('PORT')")


def test_no_function_is_over_70_lines() -> None:
    assert offenders(lambda _, text: rules.long_functions(text)) == {}
    planted = "def long():\n" + "    x = 1\n" * 70
    assert rules.long_functions(planted) == ["long"]
    assert rules.long_functions("def fits():\n" + "    x = 1\n" * 69) == []


def test_no_module_is_over_400_lines() -> None:
    assert offenders(lambda _, text: text.count("\n") > rules.MODULE_LINES_MAX) == {}


def test_no_module_is_named_like_the_standard_librarys() -> None:
    assert offenders(lambda path, _: rules.shadows_standard_library(path)) == {}
    assert rules.shadows_standard_library("gateway/queue.py")
    assert not rules.shadows_standard_library("gateway/__init__.py")


def test_nothing_is_ever_unpickled() -> None:
    assert offenders(lambda _, text: rules.unpicklers(text)) == {}
    assert rules.unpicklers("import pickle")


def test_no_globals_and_nothing_swallowed_whole() -> None:
    assert offenders(lambda _, text: rules.globals_used(text)) == {}
    assert offenders(lambda _, text: rules.swallows_everything(text)) == {}
    assert rules.globals_used("def f():\n    global x\n    x = 1")
    assert rules.swallows_everything("try:\n    f()\nexcept Exception:\n    pass") == [3]


def test_no_mark_of_unfinished_work_is_left() -> None:
    assert offenders(lambda _, text: rules.MARKS.findall(text)) == {}
    assert rules.MARKS.search("# TO" + "DO: later")


def test_every_top_level_name_is_this_repositorys_and_nobody_elses() -> None:
    taken = importlib.metadata.packages_distributions()
    for name in (*rules.PACKAGES, "tests"):
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        assert Path(found.origin) == rules.ROOT / name / "__init__.py"
        assert name not in taken, f"{taken.get(name)} ships a package called {name}"


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in (rules.ROOT / "tests").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_picture_no_weights_and_no_registry_address_is_tracked() -> None:
    listing = subprocess.run(["git", "ls-files"], cwd=rules.ROOT, capture_output=True, text=True, check=False)
    tracked = listing.stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    weights = [
        path for path in tracked if path.endswith((".onnx", ".pt", ".zip")) and not path.startswith("models/open/")
    ]
    assert weights == []
    hosts = ("pythonhosted" + ".org", "pypi" + ".org", "registry.npmjs" + ".org")
    locks = [rules.ROOT / path for path in tracked if path.startswith("deploy/requirements/")]
    assert locks
    assert [path for path in locks if any(host in path.read_text() for host in hosts)] == []
