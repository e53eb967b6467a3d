"""What all tests of a run may share, whichever process runs them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from shared.settings import Settings


@pytest.fixture(scope="session")
def with_open_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `data` holds the open model prepared in fp32, which takes longer than most tests. To be copied by
    whoever serves from it, or changes it.
    """
    from models.catalogue.registry import OPEN_MODEL  # here: it brings all that prepares into memory
    from models.ensure import ensure

    base = tmp_path_factory.getbasetemp()
    everybodys = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = everybodys / "open-model"
    with (everybodys / "open-model.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first one prepares it, the others find it
        ensure(Settings(data_dir=str(folder / "data"), model=OPEN_MODEL, precision="fp32"), lambda _: None)
    return folder
