"""Rooms stand on floors: imports run downwards and never in a circle, and a planted one that does not is found."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture import rooms, rules

SOURCES = dict(rules.sources())
MODULES = frozenset(map(rooms.module_of, SOURCES))


def test_every_room_imports_only_what_lies_below_it() -> None:
    assert {path: found for path, text in SOURCES.items() if (found := rooms.upward(path, text, MODULES))} == {}


def test_every_folder_of_models_is_a_room() -> None:
    inside = {module.rsplit(".", 1)[0] for module in MODULES if module.startswith("models.")}
    assert {room for room in rooms.MAY_IMPORT if room.startswith("models")} == inside


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("models/served/planted.py", "from models.ensure import ensure"),
        ("models/served/planted.py", "def late():\n    from models.preparing import prepare"),
        ("models/proving/planted.py", "import models.rewriting.graphs"),
        ("models/preparing/planted.py", "from models.int8.best import best_of"),
        ("models/catalogue/planted.py", "from models.served.facts import load"),
        ("models/int8/planted.py", "from models.training.network.detector import Detector"),
        ("models/planted.py", "from models.training.landmarks import MIRRORED"),
        ("models/training/scenes/planted.py", "from models.training.run import train"),
        ("models/training/judge/planted.py", "from models.training.network.detector import Detector"),
        ("models/training/run/planted.py", "from models.proving.reference import Reference"),
        ("worker/planted.py", "from models.ensure import ensure"),
        ("worker/planted.py", "from models.rewriting.gpu_form import gpu_form"),
    ],
)
def test_a_planted_upward_import_is_found(path: str, line: str) -> None:
    assert rooms.upward(path, line, MODULES)


def test_no_files_import_each_other_in_a_circle() -> None:
    assert rooms.circles(rooms.arrows(SOURCES)) == []


def test_a_planted_circle_is_found_through_any_number_of_files() -> None:
    planted = SOURCES | {"models/served/trim.py": "def late():\n    from models.ensure import ensure"}
    (circle,) = (found for found in rooms.circles(rooms.arrows(planted)) if "models.ensure" in found)
    assert {"models.served.trim", "models.preparing.prepare", "models.proving.gate"} <= set(circle)


def test_a_worker_that_loads_a_model_has_only_the_served_room_in_memory() -> None:
    code = "import sys, worker.serve, worker.__main__, worker.opening; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], cwd=rules.ROOT, capture_output=True, text=True, check=True)
    loaded = set(names.stdout.split())
    rooms_loaded = {name for name in loaded if name.startswith("models.")}
    assert {name for name in rooms_loaded if not name.startswith("models.served")} == set()
    assert "models.served.facts" in rooms_loaded
    assert loaded.isdisjoint({"onnx", "cv2"})
