"""`make verify`: what others' tools make of the document: a linter finds nothing, and generated clients compile and detect.

The linter is Redocly's, the clients are openapi-typescript's (with openapi-fetch, compiled by tsc, run by Node) and
openapi-python-client's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.callers import JAVASCRIPT, node_modules, python_program, ran
from tests.contract.test_http import PICTURE
from tests.networks import beacon_network
from tests.service import ROOT, Service, running_service

QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
PYTHON_CALLER = """
import sys
from io import BytesIO
from pathlib import Path
from generated import Client
from generated.api.faces import detect, mask
from generated.models import DetectFilesBody, DetectResponse, ErrorResponse, MaskFilesBody, MaskMethod
from generated.types import File

client = Client(base_url=sys.argv[1])
picture = Path("photo.jpg").read_bytes()
file = lambda: File(payload=BytesIO(picture), file_name="photo.jpg")
found = detect.sync(client=client, body=DetectFilesBody(image=file()), confidence=0.3)
assert isinstance(found, DetectResponse), found
masked = mask.sync_detailed(client=client, body=MaskFilesBody(image=file()), method=MaskMethod.SOLID)
assert masked.content[:3] == bytes.fromhex("ffd8ff"), masked.parsed
refused = detect.sync(client=client, body=DetectFilesBody(image=file()), confidence=7)
assert isinstance(refused, ErrorResponse), refused
print(len(found.detections), masked.headers["X-Face-Count"])
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("clients")
    model = beacon_network(folder / "beacon.onnx")
    with running_service(folder / "data", model=model, precision="fp32") as running:
        yield running


@pytest.fixture
def caller(service: Service, tmp_path: Path) -> Path:
    """A folder with the document as it is served, and a photograph."""
    (tmp_path / "openapi.json").write_bytes(httpx2.get(f"{service.url}/openapi.json").content)
    (tmp_path / "photo.jpg").write_bytes(PICTURE)
    return tmp_path


def test_a_linter_finds_nothing_in_the_document(caller: Path) -> None:
    lint = [node_modules() / ".bin" / "redocly", "lint", "openapi.json", "--format=json"]
    told = json.loads(ran([*lint, f"--config={JAVASCRIPT / 'redocly.yaml'}"], caller, **QUIET))
    assert told["problems"] == []


def test_a_client_in_typescript_compiles_strictly_and_finds_faces(service: Service, caller: Path) -> None:
    modules = node_modules()
    (caller / "node_modules").symlink_to(modules)
    for name in ("detect.ts", "tsconfig.json", "package.json"):
        shutil.copy(JAVASCRIPT / name, caller)
    ran([modules / ".bin" / "openapi-typescript", "openapi.json", "-o", "openapi.d.ts"], caller)
    ran([modules / ".bin" / "tsc"], caller)
    answer = json.loads(ran(["node", "built/detect.js", service.url, "photo.jpg"], caller))
    assert answer["faces"] == 2 <= answer["masked"]  # mask looks twice
    assert answer["bytes"] > 100
    assert "method" in answer["refused"]


def test_a_client_in_python_compiles_and_finds_faces(service: Service, caller: Path) -> None:
    generate = [python_program("openapi-python-client"), "generate", "--path", "openapi.json", "--meta", "none"]
    config = ROOT / "tests" / "python_client.yaml"
    ran([*generate, "--output-path", "generated", "--config", config, "--fail-on-warning"], caller)
    python = python_program("python")
    ran([python, "-W", "error", "-m", "compileall", "-q", "generated"], caller)
    (caller / "caller.py").write_text(PYTHON_CALLER)
    found, masked = map(int, ran([python, "caller.py", service.url], caller).split())
    assert found == 2 <= masked
