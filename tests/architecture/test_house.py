"""Rooms stand on floors: imports run downwards and never in a circle, and a planted one that does not is found."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture import arrows, house, rules

SOURCES = dict(rules.sources())
MODULES = frozenset(map(arrows.module_of, SOURCES))


def test_every_room_imports_only_what_lies_below_it() -> None:
    assert len(SOURCES) > 50
    assert {path: found for path, text in SOURCES.items() if (found := arrows.upward(path, text, MODULES))} == {}


def test_every_package_of_the_product_is_declared_and_every_declared_room_is_there() -> None:
    folders = {path.parent.name for path in rules.ROOT.glob("*/__init__.py")} - {"tests"}
    assert folders <= {*house.HOUSE}
    assert arrows.nowhere(MODULES) == set()
    assert arrows.nowhere(MODULES - {"gateway.visit"}) == {"gateway.visit"}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        # between packages, and libraries
        ("gateway/planted.py", "import worker.serve"),
        ("gateway/planted.py", "def f():\n    from models import serving"),
        ("gateway/planted.py", "import onnxruntime"),
        ("gateway/planted.py", "from tests.service import start"),
        ("worker/planted.py", "from gateway.dispatching.dispatch import Dispatcher"),
        ("worker/planted.py", "from starlette.requests import Request"),
        ("worker/planted.py", "from models.ensure import ensure"),
        ("worker/planted.py", "from models.rewriting.gpu_form import gpu_form"),
        ("models/planted.py", "from worker.scrfd import detect"),
        ("shared/planted.py", "from gateway import app"),
        ("shared/planted.py", "import zmq"),
        ("deploy/planted.py", "from loadtest.client import Client"),
        ("client/planted.py", "from shared.errors import BadImage"),
        ("client/planted.py", "import numpy"),
        # within the gateway
        ("gateway/keys/usage.py", "from gateway.access.door import Door"),
        ("gateway/stores/database.py", "from gateway.keys import records"),
        ("gateway/console/pages.py", "def f():\n    from gateway.routes.admin import routes"),
        ("gateway/reporting/metrics.py", "if TYPE_CHECKING:\n    from gateway.services import Services"),
        ("gateway/keys/usage.py", "from gateway.dispatching.dispatch import Dispatcher"),  # of its own floor
        ("gateway/services.py", "from gateway import visit"),
        ("gateway/keys/records.py", "import gateway.keys.__main__"),
        ("gateway/planted.py", "from gateway.record import RequestRecord"),  # what nobody declares is on the ground
        # within models and training
        ("models/served/planted.py", "from models.ensure import ensure"),
        ("models/served/planted.py", "def late():\n    from models.preparing import prepare"),
        ("models/proving/planted.py", "import models.rewriting.graphs"),
        ("models/proving/planted.py", "from models.catalogue.registry import known"),  # lower, and not its business
        ("models/preparing/planted.py", "from models.int8.best import best_of"),
        ("models/catalogue/planted.py", "from models.served.facts import load"),
        ("models/int8/planted.py", "from models.training.network.detector import Detector"),
        ("models/planted.py", "from models.training.landmarks import MIRRORED"),
        ("models/training/scenes/planted.py", "from models.training.run import train"),
        ("models/training/judge/planted.py", "from models.training.network.detector import Detector"),
        ("models/training/run/planted.py", "from models.proving.reference import Reference"),
        # within the others
        ("worker/scrfd.py", "from worker.pipeline import Pipeline"),
        ("shared/errors.py", "from shared.wire import encode_request"),
        ("deploy/runtime_dir.py", "from deploy import launch"),
        ("loadtest/client.py", "from loadtest import bench"),
    ],
)
def test_a_planted_upward_import_is_found(path: str, line: str) -> None:
    assert arrows.upward(path, line, MODULES)


def test_no_files_import_each_other_in_a_circle() -> None:
    assert arrows.circles(arrows.graph(SOURCES)) == []


def test_a_planted_circle_is_found_through_any_number_of_files() -> None:
    planted = SOURCES | {"models/served/trim.py": "def late():\n    from models.ensure import ensure"}
    (circle,) = (found for found in arrows.circles(arrows.graph(planted)) if "models.ensure" in found)
    assert {"models.served.trim", "models.preparing.prepare", "models.proving.gate"} <= set(circle)


def test_a_worker_that_loads_a_model_has_only_the_served_room_in_memory() -> None:
    code = "import sys, worker.serve, worker.__main__, worker.opening; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], cwd=rules.ROOT, capture_output=True, text=True, check=True)
    loaded = set(names.stdout.split())
    rooms_loaded = {name for name in loaded if name.startswith("models.")}
    assert {name for name in rooms_loaded if not name.startswith("models.served")} == set()
    assert "models.served.facts" in rooms_loaded
    assert loaded.isdisjoint({"onnx", "cv2"})
