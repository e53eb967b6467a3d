"""`make verify`: the recipes that need more than their language: sharp, and a bucket of a real S3 server (SeaweedFS).

They run as shown, with awscli, boto3 and the AWS SDK for JavaScript; `tests/contract/test_recipes.py` runs all others.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from gateway.docs.recipes import TOPICS, text
from tests.buckets import bucket
from tests.callers import PYTHON, node_modules, python_program, ran
from tests.contract.test_http import PICTURE
from tests.contract.test_recipes import NEEDS_MORE, PROGRAMS, SAYS
from tests.networks import beacon_network
from tests.service import Service, running_service

OBJECT = "s3://my-bucket/masked/photo.png"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("recipes")
    model = beacon_network(folder / "beacon.onnx")
    with running_service(folder / "data", model=model, precision="fp32") as running:
        yield running


@pytest.fixture(scope="module")
def storage() -> Iterator[dict[str, str]]:
    """The environment in which AWS's tools find the server."""
    with bucket() as server:
        yield server.environment


def _aws(environment: dict[str, str], folder: Path, *words: str) -> int:
    command = [PYTHON / "aws", "s3", *words]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False
    ).returncode


def run(service: Service, folder: Path, name: str, end: str, data: bytes, **environment: str) -> int:
    """Runs a recipe as shown on a photograph of these bytes; its exit status."""
    if end == "mjs":
        (folder / "node_modules").symlink_to(node_modules())
    (folder / "photo.jpg").write_bytes(data)
    program = folder / f"recipe.{end}"
    program.write_text(text(name, end).replace("http://127.0.0.1:8000", service.url))
    words = [str(python_program("python"))] if end == "py" else PROGRAMS[end]
    path = f"{PYTHON}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([*words, program], cwd=folder, env={**os.environ, "PATH": path, **environment}, check=False)
    return done.returncode


@pytest.mark.parametrize("end", PROGRAMS)
def test_a_masked_picture_arrives_in_the_bucket(
    service: Service, storage: dict[str, str], tmp_path: Path, end: str
) -> None:
    _aws(storage, tmp_path, "rm", OBJECT)
    assert run(service, tmp_path, "s3", end, PICTURE, **storage) == 0
    ran([PYTHON / "aws", "s3", "cp", OBJECT, "fetched.png"], tmp_path, **storage)
    with Image.open(tmp_path / "fetched.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (640, 480))


@pytest.mark.parametrize("end", PROGRAMS)
def test_a_refused_picture_leaves_no_object(
    service: Service, storage: dict[str, str], tmp_path: Path, end: str
) -> None:
    _aws(storage, tmp_path, "rm", OBJECT)
    assert run(service, tmp_path, "s3", end, b"no picture", **storage) != 0
    assert _aws(storage, tmp_path, "ls", OBJECT) != 0


def test_sharp_draws_the_boxes(service: Service, tmp_path: Path) -> None:
    assert run(service, tmp_path, "draw", "mjs", PICTURE) == 0
    drawn = Image.open(BytesIO((tmp_path / "annotated.jpg").read_bytes()))
    assert (drawn.format, drawn.size) == ("JPEG", (640, 480))
    red, green, blue = drawn.convert("RGB").getpixel((120, 60))  # the upper edge of the first face's box
    assert red > 120 > max(green, blue)


def test_between_the_two_files_every_recipe_runs_in_every_language_that_runs_here() -> None:
    here = {("draw", "mjs"), *(("s3", end) for end in PROGRAMS)}
    there = {(name, end) for name in SAYS for end in PROGRAMS} - NEEDS_MORE
    assert here | there == {(name, end) for name in ("health", "detect", "mask", *TOPICS) for end in PROGRAMS}
