"""What callers use and this project does not: packages of tests/javascript, and Python ones in an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.service import ROOT

JAVASCRIPT = ROOT / "tests" / "javascript"
#: Where they are installed: this one here, the other by `make verify`.
NODE = ROOT / ".node"
PYTHON = ROOT / ".venv-recipes" / "bin"


def node_modules() -> Path:
    """The installed packages, as locked. Skips where there is no Node.js."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node.js with npm on this machine: what JavaScript callers use is not checked")
    lock, told = JAVASCRIPT / "package-lock.json", NODE / "node_modules" / ".package-lock.json"
    if not told.exists() or told.stat().st_mtime < lock.stat().st_mtime:
        NODE.mkdir(exist_ok=True)
        for name in ("package.json", lock.name):
            shutil.copy(JAVASCRIPT / name, NODE)
        ran(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], NODE)
    return NODE / "node_modules"


def python_program(name: str) -> Path:
    """A program of the Python environment. Skips where that is not set up."""
    if not (PYTHON / name).exists():
        pytest.skip(f"{PYTHON.parent.name} is not set up; `make verify` does that")
    return PYTHON / name


def ran(command: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """Its output; what it said is shown where it fails."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
