"""What runs in an image beside the service: its health, its list of parts, and the model that a pod fetches first."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy import fetch_model
from deploy.healthcheck import address, answers
from deploy.image.sbom import FILE, gaps, of_debian, write
from deploy.image.settling import settle_parts
from shared.settings import Settings

MODEL = b"weights" * 100
STATUS = """Package: tini
Status: install ok installed
Architecture: amd64
Version: 0.19.0-1+b3

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = MODEL if self.path == "/model" else b"{}"
        self.send_response({"/livez": 200, "/model": 200}.get(self.path, 503))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the tests' output."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_health_is_what_the_service_answers(url: str) -> None:
    assert answers(f"{url}/livez")
    assert not answers(f"{url}/readyz")
    assert not answers("http://127.0.0.1:9/livez")


@pytest.mark.parametrize(
    ("host", "wanted"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.0.0.1", "10.0.0.1"), ("2001:db8::1", "[2001:db8::1]")]
)  # fmt: skip
def test_the_service_is_asked_where_it_listens(host: str, wanted: str) -> None:
    assert address(Settings(host=host, port=8001)) == f"http://{wanted}:8001"


def test_a_model_is_there_only_when_its_sum_is_right(url: str, tmp_path: Path) -> None:
    place, right = tmp_path / "model.onnx", hashlib.sha256(MODEL).hexdigest()
    assert fetch_model.main([f"{url}/model", "0" * 64, str(place)]) == 1
    assert not place.exists()
    assert fetch_model.main([f"{url}/model", right, str(place)]) == 0
    assert place.read_bytes() == MODEL
    assert fetch_model.main([]) == 2


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An installed package."""
    about = tmp_path / "site" / "some_package-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: Some.Package\nVersion: 1.2\nLicense-Expression: MIT\n"
    )
    return about.parent


def test_the_list_of_parts_holds_what_is_installed_with_its_licence_and_no_date(site: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(site, STATUS, tmp_path / folder)
    told = json.loads((tmp_path / "one" / FILE).read_text())
    assert [part["purl"] for part in told["components"]] == [
        "pkg:deb/debian/tini@0.19.0-1+b3?arch=amd64", "pkg:pypi/some-package@1.2",
    ]  # fmt: skip
    assert told["components"][1]["licenses"] == [{"license": {"name": "MIT"}}]
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()
    assert {file.name for file in (tmp_path / "one").iterdir()} == {FILE, "LICENSE", "LICENSES.md"}


def test_a_part_that_is_not_listed_not_installed_or_without_a_licence_is_told(site: Path, tmp_path: Path) -> None:
    out, documents = tmp_path / "share", tmp_path / "doc"
    write(site, STATUS, out)
    assert list(gaps(site, STATUS, out, documents)) == [
        "pkg:deb/debian/tini@0.19.0-1+b3?arch=amd64 has no licence here",
        "pkg:pypi/some-package@1.2 has no licence here",
    ]
    (documents / "tini").mkdir(parents=True)
    (documents / "tini" / "copyright").write_text("MIT")
    (out / "LICENSES.md").write_text("| MIT | another, some-package |\n")
    assert list(gaps(site, STATUS, out, documents)) == []
    assert list(gaps(site, STATUS.replace("b3", "b4"), out, documents)) == [
        "pkg:deb/debian/tini@0.19.0-1+b3?arch=amd64 is listed and not installed",
        "pkg:deb/debian/tini@0.19.0-1+b4?arch=amd64 is installed and not listed",
    ]


def test_two_builds_in_different_containers_become_one_image(tmp_path: Path) -> None:
    digests = set()
    for container in ("one", "another"):
        folder = tmp_path / container
        folder.mkdir()
        told = {
            "config": {"User": "65532", "Hostname": container},
            "container": container,
            "container_config": {"Hostname": container},
        }
        (folder / "0a").write_text(json.dumps(told))
        (folder / "manifest.json").write_text(json.dumps({"config": {"digest": "sha256:0a", "size": 1}, "layers": []}))
        settle_parts(folder)
        about = json.loads((folder / "manifest.json").read_text())["config"]
        config = (folder / about["digest"].removeprefix("sha256:")).read_bytes()
        assert (about["digest"], about["size"]) == (f"sha256:{hashlib.sha256(config).hexdigest()}", len(config))
        assert json.loads(config)["config"]["User"] == "65532"
        digests.add(hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_only_packages_that_are_installed_count() -> None:
    assert [part["name"] for part in of_debian(STATUS)] == ["tini"]
