"""Set-ups that would lose requests, let strangers in or never work: the launcher ends with 78, one sentence and its mend."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from deploy.wire_keys import make
from gateway.first_start import prepare_first_start
from shared.exit_codes import CONFIGURATION
from shared.settings import Settings
from tests.service import ROOT, START_S_MAX, environment

WORKERS = {"role": "workers", "wire_bind": "tcp://0.0.0.0:7400", "wire_key_file": "a.key", "wire_peers": "b.pub"}
GATEWAY = {"role": "gateway", "wire_hosts": "127.0.0.1:7400", "wire_key_file": "b.key", "wire_peers": "a.pub"}
STORE = {"api_key_enabled": "true", "database_url": "sqlite:///keys.sqlite"}
NO_KEY = "is empty, and hosts speak to one another only with keys; `python -m deploy.wire_keys NAME` makes a pair"
SETUPS: dict[str, tuple[dict[str, str], str]] = {
    "an open port without keys": (WORKERS | {"wire_key_file": "none"}, NO_KEY),
    "gateways without keys": (GATEWAY | {"wire_key_file": "none"}, NO_KEY),
    "a key of another length": (WORKERS | {"wire_key_file": "short"}, "has 39 characters where a key has 40"),
    "a name without records": (GATEWAY | {"wire_hosts": "nowhere.invalid:7400"}, "nowhere.invalid has no address"),
    "another pepper than the keys'": (
        STORE | {"key_pepper": "b" * 40},
        "hashed with another pepper: set FACE_API_KEY_PEPPER to it",
    ),
    "a grace shorter than a stop": ({"termination_grace": "20"}, "or shorten them"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of both halves, a file that holds none, a key that lacks a character, and a store of keys."""
    place = tmp_path_factory.mktemp("setups")
    for name in ("a", "b"):
        make(name, place)
    (place / "none").write_text("")
    (place / "short").write_text((place / "a.pub").read_text()[:39])
    store = f"sqlite:///{place / 'keys.sqlite'}"
    prepare_first_start(Settings(data_dir=str(place), database_url=store, key_pepper="a" * 40), terminal=True)
    return place


def started(folder: Path, *options: str, settings: dict[str, str] | None = None, **more: str) -> tuple[int, list[str]]:
    """(exit code, what it said) of a launcher in that folder. options: Python's. more: of the environment."""
    done = subprocess.run(
        [sys.executable, *options, "-m", "deploy.launch"],
        cwd=folder, env=environment(data_dir=folder / "data", **(settings or {})) | more, timeout=START_S_MAX,
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("setup", SETUPS)
def test_a_wrong_setup_ends_with_78_and_one_sentence(setup: str, folder: Path) -> None:
    settings, words = SETUPS[setup]
    code, said = started(folder, settings=settings)
    assert code == CONFIGURATION, said
    assert words in said[-1]
    assert len([line for line in said if "cannot start" not in line]) <= 1, said


def test_the_gpu_build_where_no_card_answers_ends_with_78_and_does_not_take_the_processor_instead(
    folder: Path, tmp_path: Path
) -> None:
    code, said = started(folder, "-S", PYTHONPATH=f"{ROOT}:{with_the_gpu_build(tmp_path)}", PATH=str(tmp_path))
    assert code == CONFIGURATION, said
    assert "no NVIDIA driver answers (nvidia-smi -L)" in said[-1]
    assert "or set FACE_API_ACCELERATOR=cpu" in said[-1]


def with_the_gpu_build(folder: Path) -> Path:
    """The installed packages, with the GPU build's name in the place of this one's."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not (entry.name.startswith("onnxruntime") and entry.name.endswith(".dist-info")):
            (folder / entry.name).symlink_to(entry)
    named = folder / "onnxruntime_gpu-1.0.dist-info"
    named.mkdir()
    (named / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.0\n")
    return folder
