"""What all tests of a run may share, whichever process runs them, and how they are spread over processes."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import inspect
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import uvloop

from shared.settings import Settings
from tests import shifts
from tests.service import OFFICIAL_MODELS

TEST_S_MAX = 600.0
#: Examples of every property; none of them is in a hurry.
for name, examples in {"ci": 50, "dev": 100, "verify": 2000}.items():
    hypothesis.settings.register_profile(
        name,
        max_examples=examples,
        derandomize=name == "ci",
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    return shifts.scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: shifts.turn_of(item.nodeid))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that is a coroutine has an event loop of its own, uvloop's where it asks for it, and an end."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    factory = uvloop.new_event_loop if pyfuncitem.get_closest_marker("uvloop") else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_in_time(pyfuncitem.obj(**wanted)))
    return True


async def _in_time(test: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(TEST_S_MAX):
        await test


@pytest.fixture(autouse=True, scope="module")
def small_floats_are_floats() -> None:
    """A detector takes denormals for zero, in the thread that makes it (worker/detector.py). Here that is everybody's:
    the next file computes as Python does again. FE_DFL_ENV of fenv.h.
    """
    ctypes.CDLL("libm.so.6").fesetenv(ctypes.c_void_p(-1))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """made_once(name, make): the path of what `make(path)` writes, in the first process that asks."""
    base = tmp_path_factory.getbasetemp()
    everybodys = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        path, done = everybodys / name, everybodys / f"{name}.made"
        with (everybodys / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the first one makes it, the others find it
            if not done.exists():
                make(path)
                done.touch()
        return path

    return made


@pytest.fixture(scope="session")
def with_open_model(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A folder whose `data` holds the open model prepared in fp32, which takes longer than most tests. To be copied by
    whoever serves from it, or changes it.
    """
    from models.catalogue.registry import OPEN_MODEL  # here: it brings all that prepares into memory

    return made_once("open-model", lambda folder: _prepare(folder, OPEN_MODEL))


@pytest.fixture(scope="session")
def with_official_models(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The same of the official models, where they lie beside the repository; without a folder where none does."""

    def make(folder: Path) -> None:
        for path in OFFICIAL_MODELS.glob("*.onnx"):
            _prepare(folder, str(path))

    return made_once("official-models", make)


def _prepare(folder: Path, model: str) -> None:
    from models.ensure import ensure

    ensure(Settings(data_dir=str(folder / "data"), model=model, precision="fp32"), lambda _: None)


@pytest.fixture(scope="session")
def hostile_files(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Where the hostile corpus lies, but for its heavy files; `tests.hostile.corpus.read` reads it."""
    from tests.hostile import corpus

    return made_once("hostile-corpus", corpus.write)
