"""Jobs over HTTP: the ids on answers, what they lead to, who may see it, and what is answered when none can be kept."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import msgspec
import pytest

from gateway.keys.opening import open_store, peppers_for
from gateway.keys.records import Draft, Scope
from gateway.records.job import JobPage, ShownJob
from gateway.routes.records_door import NO_PICTURES, OFF
from gateway.stores.database import FILE_NAME
from shared.settings import Settings
from tests.networks import beacon_network
from tests.service import SMALL, running_service
from tests.unit.access.stores import ME

JOBS = "/api/v1/jobs"
NAME = "aunt-edna-at-the-beach.png"


def picture() -> bytes:
    import cv2
    import numpy as np

    pixels = np.full((360, 640, 3), 40, np.uint8)
    pixels[100:140, 200:240] = 255
    return cv2.imencode(".png", pixels)[1].tobytes()


PICTURE = picture()


class Callers:
    """A service that keeps records, and its clients by the scopes of their keys."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.file = url, folder / FILE_NAME
        every: tuple[Scope, ...] = ("detect", "mask", "records:read", "records:delete")
        self.all, self.other, self.plain = self.client(every), self.client(every), self.client(("detect",))

    def client(self, scopes: tuple[Scope, ...], **draft: Any) -> httpx2.Client:
        """With a key of its own."""
        settings = Settings(data_dir=str(self.file.parent))
        store = open_store(settings)
        made = store.create(Draft(name="n", scopes=scopes, **draft), peppers_for(settings, store), ME, time.time())
        store.database.close()
        return httpx2.Client(base_url=self.url, timeout=60, headers={"X-API-Key": made.key})

    def close(self) -> None:
        for client in (self.all, self.other, self.plain):
            client.close()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Another writer holds the database for as long."""
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")


@contextlib.contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Callers]:
    model = beacon_network(folder / "beacon.onnx")
    wanted = {"model": model, "precision": "fp32", "api_key_enabled": "true", "gateway_processes": 1, **SMALL}
    with running_service(folder / "data", **wanted | settings) as service:
        callers = Callers(service.url, folder / "data")
        try:
            yield callers
        finally:
            callers.close()


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    with serving(tmp_path_factory.mktemp("jobs"), records="required", rate_limit_enabled="true") as opened:
        yield opened


def ask(client: httpx2.Client, task: str, **params: Any) -> httpx2.Response:
    return client.post(f"/api/v1/{task}", files={"image": (NAME, PICTURE, "image/png")}, params=params)


def kept(client: httpx2.Client, job_id: str) -> ShownJob:
    answer = client.get(f"{JOBS}/{job_id}")
    assert answer.status_code == 200, answer.text
    assert msgspec.json.decode(msgspec.json.encode(msgspec.convert(answer.json(), ShownJob))) == answer.json()
    return msgspec.convert(answer.json(), ShownJob)


def test_detect_answers_the_id_of_a_job_that_tells_what_was_asked_and_found(callers: Callers) -> None:
    answer = ask(callers.all, "detect", confidence=0.3)
    told = answer.json()
    assert told["job_id"] == answer.headers["X-Job-Id"]
    assert UUID(told["job_id"]).version == 7
    assert told["image_id"] is None
    job = kept(callers.all, told["job_id"])
    assert (job.endpoint, job.state, job.model) == ("detect", "done", told["processing"]["model"])
    assert (job.request_id, job.parameters) == (told["request_id"], {"confidence": 0.3})
    assert (job.width, job.height, job.faces, job.masked) == (640, 360, told["summary"]["face_count"], None)
    assert [msgspec.to_builtins(box) for box in job.boxes] == [
        face["bbox"] | {"confidence": face["confidence"]} for face in told["detections"]
    ]
    assert (job.bytes_in, job.sha256_in) == (len(PICTURE), sha256(PICTURE).hexdigest())
    assert (job.bytes_out, job.sha256_out) == (len(answer.content), sha256(answer.content).hexdigest())


def test_mask_answers_the_id_in_a_header(callers: Callers) -> None:
    answer = ask(callers.all, "mask", method="solid")
    job = kept(callers.all, answer.headers["X-Job-Id"])
    assert (job.endpoint, job.parameters) == ("mask", {"method": "solid"})
    assert (str(job.masked), job.sha256_out) == (answer.headers["X-Face-Count"], sha256(answer.content).hexdigest())


@pytest.mark.parametrize(("own_h", "kept_h"), [(1, 1), (1000, 24)])
def test_the_shorter_of_the_keys_and_the_services_time_ends_a_job(callers: Callers, own_h: int, kept_h: int) -> None:
    client = callers.client(("detect", "records:read"), records_ttl=own_h * 3600)
    job = kept(client, ask(client, "detect").json()["job_id"])
    client.close()
    ends, made = (datetime.fromisoformat(moment) for moment in (job.expires_at, job.created_at))
    assert ends - made == timedelta(hours=kept_h)


@pytest.mark.parametrize("task", ["detect", "mask"])
def test_with_store_false_nothing_is_kept(callers: Callers, task: str) -> None:
    before = callers.all.get(JOBS).json()
    answer = ask(callers.all, task, store="false")
    assert answer.status_code == 200
    assert not {"X-Job-Id", "X-Job-Status"} & set(answer.headers)
    assert task == "mask" or answer.json()["job_id"] is None
    assert callers.all.get(JOBS).json() == before


def test_a_refused_request_leaves_no_job(callers: Callers) -> None:
    before = callers.all.get(JOBS).json()
    assert callers.all.post("/api/v1/detect", files={"image": (NAME, b"no picture")}).status_code == 400
    assert callers.all.get(JOBS).json() == before


def test_jobs_are_listed_newest_first_page_by_page(callers: Callers) -> None:
    made = [ask(callers.other, "detect").json()["job_id"] for _ in range(3)]
    first = msgspec.convert(callers.other.get(JOBS, params={"limit": 2}).json(), JobPage)
    assert [job.id for job in first.jobs] == made[:0:-1]
    last = callers.other.get(JOBS, params={"limit": 2, "cursor": first.next_cursor}).json()
    assert [job["id"] for job in last["jobs"]] == made[:1]
    assert last["next_cursor"] is None


def test_a_job_is_its_keys_alone_and_gone_when_deleted(callers: Callers) -> None:
    url = f"{JOBS}/{ask(callers.all, 'detect').json()['job_id']}"
    for refused in (callers.other.get(url), callers.other.delete(url)):
        assert refused.status_code == 404
    assert callers.all.delete(url).status_code == 204
    again = callers.all.get(url)
    assert (again.status_code, callers.all.delete(url).status_code) == (404, 404)
    assert "expired, was deleted, or is another key's" in again.json()["detail"]


def test_a_key_without_the_scope_makes_jobs_and_reads_none(callers: Callers) -> None:
    url = f"{JOBS}/{ask(callers.plain, 'detect').json()['job_id']}"
    for answer, scope in ((callers.plain.get(url), "records:read"), (callers.plain.delete(url), "records:delete")):
        assert answer.status_code == 403
        assert scope in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{JOBS}?limit=0", "limit: must be a whole number from 1 to 1000"),
        (f"{JOBS}?cursor=x", "cursor: must be an id, a UUID"),
        (f"{JOBS}/nothing", "job_id: must be an id, a UUID"),
        (f"{JOBS}?limt=3", "did you mean limit?"),
    ],
)
def test_what_cannot_be_is_told_with_its_mend(callers: Callers, path: str, words: str) -> None:
    answer = callers.all.get(path)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_neither_file_name_nor_address_nor_pixels_are_kept(callers: Callers) -> None:
    ask(callers.all, "mask")
    with contextlib.closing(sqlite3.connect(callers.file)) as connection:
        cells = [cell for row in connection.execute("SELECT * FROM jobs") for cell in row]
    assert cells
    assert not [cell for cell in cells if isinstance(cell, bytes)]
    assert not [each for each in (NAME, "127.0.0.1") if each in str(cells)]


def test_health_says_that_there_is_a_database(callers: Callers) -> None:
    health = callers.all.get("/health").json()
    assert (health["database_enabled"], health["storage_enabled"]) == (True, False)
    assert health["database_ready"] is True


def test_required_answers_503_charges_nothing_and_goes_on_afterwards(callers: Callers) -> None:
    before = int(remaining(ask(callers.all, "mask")))
    with callers.locked():
        refused = ask(callers.all, "mask")
        health = callers.all.get("/health")
    assert (refused.status_code, health.status_code) == (503, 503)
    assert (health.json()["database_ready"], bool(health.json()["reason"])) == (False, True)
    assert int(refused.headers["Retry-After"]) >= 1
    assert "FACE_API_RECORDS=required" in refused.json()["detail"]
    again = ask(callers.all, "mask")
    assert (remaining(refused), remaining(again)) == (str(before), str(before - 1))
    assert UUID(again.headers["X-Job-Id"])


def remaining(answer: httpx2.Response) -> str:
    """Requests that are left in the window."""
    return answer.headers["RateLimit"].partition("r=")[2].partition(";")[0]


def test_where_no_pictures_are_kept_the_endpoints_say_which_setting_would(callers: Callers) -> None:
    assert not {"X-Image-Id", "X-Image-Status"} & set(ask(callers.all, "mask").headers)
    told = callers.all.get("/api/v1/images")
    assert (told.status_code, told.json()) == (404, {"detail": NO_PICTURES})


def test_where_no_records_are_kept_the_endpoints_say_which_setting_would(client: httpx2.Client) -> None:
    for answer in (client.get(JOBS), client.get(f"{JOBS}/{UUID(int=0)}"), client.delete(f"{JOBS}/{UUID(int=0)}")):
        assert (answer.status_code, answer.json()) == (404, {"detail": OFF})
    assert "FACE_API_RECORDS" in OFF
    found = ask(client, "detect")
    assert found.json()["job_id"] is None
    assert not {"X-Job-Id", "X-Job-Status"} & set(found.headers)
