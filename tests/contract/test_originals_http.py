"""Originals: with a setting of their own pictures are kept as they came, told apart from masked ones, and erased."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.routes.images import PATH as IMAGES
from gateway.stores.storage_url import open_objects
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.contract.test_images_http import again, objects_in
from tests.contract.test_jobs_http import JOBS, PICTURE, Callers, ask, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("originals")


@pytest.fixture(scope="module")
def callers(folder: Path) -> Iterator[Callers]:
    url = (folder / "pictures").as_uri()
    with serving(folder, records="best_effort", storage_url=url, storage_originals="true") as opened:
        yield opened


def image(client: httpx2.Client, image_id: str) -> dict[str, Any]:
    answer = client.get(f"{IMAGES}/{image_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def content(client: httpx2.Client, image_id: str) -> tuple[str, bytes]:
    answer = client.get(f"{IMAGES}/{image_id}/content")
    return answer.headers["content-type"], answer.content


def test_detect_names_the_picture_as_it_came(callers: Callers) -> None:
    answer = ask(callers.all, "detect")
    image_id = answer.json()["image_id"]
    assert answer.headers["X-Image-Id"] == answer.headers["X-Original-Id"] == image_id
    assert content(callers.all, image_id) == ("image/png", PICTURE)
    kept, job = image(callers.all, image_id), callers.all.get(f"{JOBS}/{answer.json()['job_id']}").json()
    assert (kept["kind"], kept["job_id"]) == ("original", job["id"])
    assert (job["image_id"], job["original_id"]) == (image_id, image_id)
    assert (job["bytes_out"], job["sha256_out"]) == (len(answer.content), sha256(answer.content).hexdigest())
    assert callers.other.get(f"{IMAGES}/{image_id}").status_code == 404


def test_mask_keeps_both_and_the_list_tells_them_apart(callers: Callers) -> None:
    answer = ask(callers.all, "mask", format="webp")
    masked, original = (answer.headers[name] for name in ("X-Image-Id", "X-Original-Id"))
    assert content(callers.all, masked) == ("image/webp", answer.content)
    assert content(callers.all, original) == ("image/png", PICTURE)
    newest = callers.all.get(IMAGES, params={"limit": 2}).json()["images"]
    assert {each["id"]: each["kind"] for each in newest} == {masked: "masked", original: "original"}
    assert callers.all.delete(f"{IMAGES}/{original}").status_code == 204
    job = callers.all.get(f"{JOBS}/{answer.headers['X-Job-Id']}").json()
    assert (job["image_id"], job["original_id"]) == (masked, None)


@pytest.mark.parametrize("task", ["detect", "mask"])
def test_store_false_leaves_nothing_and_a_deleted_job_takes_all_its_pictures(
    callers: Callers, folder: Path, task: str
) -> None:
    before = objects_in(folder)
    unwanted = ask(callers.all, task, store="false")
    assert not {"X-Image-Id", "X-Original-Id", "X-Image-Status"} & set(unwanted.headers)
    assert objects_in(folder) == before
    job_id = ask(callers.all, task).headers["X-Job-Id"]
    assert len(objects_in(folder) - before) == (1 if task == "detect" else 2)
    assert callers.all.delete(f"{JOBS}/{job_id}").status_code == 204
    assert objects_in(folder) == before


def test_an_annotated_picture_keeps_its_original_alone(callers: Callers) -> None:
    answer = ask(callers.all, "mask", annotate="true")
    assert "X-Image-Id" not in answer.headers
    assert content(callers.all, answer.headers["X-Original-Id"])[1] == PICTURE


def test_a_repeated_answer_names_the_original_while_it_is_there(callers: Callers, folder: Path) -> None:
    before = objects_in(folder)
    first, second = again(callers.all, "detect", "same"), again(callers.all, "detect", "same")
    assert (second.content, second.headers["X-Image-Id"]) == (first.content, first.json()["image_id"])
    assert callers.all.delete(f"{IMAGES}/{first.json()['image_id']}").status_code == 204
    third = again(callers.all, "detect", "same")
    assert third.headers["Idempotency-Replayed"] == "true"
    assert third.json() == first.json() | {"image_id": None}
    assert objects_in(folder) == before


def test_while_no_picture_can_be_kept_the_answer_names_none(callers: Callers, folder: Path) -> None:
    pictures = folder / "pictures"
    pictures.rename(folder / "away")
    answers = [ask(callers.all, "detect") for _ in range(2)]
    (folder / "away").rename(pictures)
    for answer in answers:
        assert (answer.json()["image_id"], answer.headers["X-Image-Status"]) == (None, "unconfirmed")
        job = callers.all.get(f"{JOBS}/{answer.json()['job_id']}").json()
        assert (job["image_id"], job["sha256_out"]) == (None, sha256(answer.content).hexdigest())


def test_best_effort_answers_without_an_id_when_the_database_is_locked(callers: Callers) -> None:
    with callers.locked():
        found, masked = ask(callers.all, "detect"), ask(callers.all, "mask")
        assert callers.all.get("/health").status_code == 200
    for answer in (found, masked):
        assert (answer.status_code, answer.headers["X-Job-Status"]) == (200, "unconfirmed")
        assert "X-Job-Id" not in answer.headers
    assert found.json()["job_id"] is None


def test_the_setting_wants_a_place() -> None:
    with pytest.raises(ConfigurationError, match="FACE_API_STORAGE_ORIGINALS=true wants FACE_API_STORAGE_URL"):
        open_objects(Settings(storage_originals=True))
