"""Images over HTTP: the id on mask's answer, what it leads to, who may see it, and what keeps none."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import httpx2
import msgspec
import pytest

from gateway.records.image import ImagePage, ShownImage
from gateway.stores.objects import MARK
from tests.contract.test_jobs_http import JOBS, Callers, ask, serving

IMAGES = "/api/v1/images"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def callers(folder: Path) -> Iterator[Callers]:
    with serving(folder, records="required", storage_url=(folder / "pictures").as_uri()) as opened:
        yield opened


def objects_in(folder: Path) -> set[str]:
    return {file.name for file in (folder / "pictures").iterdir()} - {MARK}


def masked(client: httpx2.Client) -> tuple[str, bytes]:
    answer = ask(client, "mask", method="solid")
    assert answer.status_code == 200, answer.text
    return f"{IMAGES}/{answer.headers['X-Image-Id']}", answer.content


def test_mask_answers_an_id_that_leads_to_the_same_picture(callers: Callers) -> None:
    answer = ask(callers.all, "mask", format="png")
    assert UUID(answer.headers["X-Image-Id"]).version == 7
    url = f"{IMAGES}/{answer.headers['X-Image-Id']}"
    image = msgspec.convert(callers.all.get(url).json(), ShownImage)
    assert (image.job_id, image.media_type) == (answer.headers["X-Job-Id"], "image/png")
    assert (image.width, image.height, image.bytes) == (640, 360, len(answer.content))
    content = callers.all.get(f"{url}/content")
    assert (content.content, content.headers["content-type"]) == (answer.content, "image/png")
    assert content.headers["etag"] == f'"{sha256(answer.content).hexdigest()}"'
    assert content.headers["cache-control"] == "no-store"
    assert callers.all.get(f"{JOBS}/{image.job_id}").json()["image_id"] == image.id


@pytest.mark.parametrize("asked", [{"task": "mask", "store": "false"}, {"task": "mask", "annotate": "true"}, {}])
def test_nothing_that_shows_a_face_and_nothing_unwanted_is_kept(
    callers: Callers, folder: Path, asked: dict[str, str]
) -> None:
    before = objects_in(folder)
    answer = ask(callers.all, **({"task": "detect"} | asked))
    assert answer.status_code == 200
    assert not {"X-Image-Id", "X-Image-Status"} & set(answer.headers)
    assert objects_in(folder) == before


def test_images_are_listed_newest_first_page_by_page(callers: Callers) -> None:
    made = [masked(callers.other)[0].rpartition("/")[2] for _ in range(3)]
    first = msgspec.convert(callers.other.get(IMAGES, params={"limit": 2}).json(), ImagePage)
    assert [image.id for image in first.images] == made[:0:-1]
    last = callers.other.get(IMAGES, params={"limit": 2, "cursor": first.next_cursor}).json()
    assert ([image["id"] for image in last["images"]], last["next_cursor"]) == (made[:1], None)


def test_an_image_is_its_keys_alone_and_gone_when_deleted(callers: Callers, folder: Path) -> None:
    before = objects_in(folder)
    url, _ = masked(callers.all)
    assert len(objects_in(folder)) == len(before) + 1
    for path in (url, f"{url}/content", f"{url}/url"):
        assert callers.other.get(path).status_code == 404
        assert callers.plain.get(path).status_code == 403
    assert callers.other.delete(url).status_code == 404
    assert callers.all.delete(url).status_code == 204
    assert {callers.all.get(path).status_code for path in (url, f"{url}/content")} == {404}
    assert callers.all.delete(url).status_code == 404
    assert objects_in(folder) == before


def test_a_folder_has_no_urls_and_the_answer_says_what_has(callers: Callers) -> None:
    answer = callers.all.get(f"{masked(callers.all)[0]}/url")
    assert (answer.status_code, "/content" in answer.json()["detail"]) == (404, True)


def test_health_says_that_there_is_a_storage_and_how_it_is(callers: Callers, folder: Path) -> None:
    health = callers.all.get("/health").json()
    assert (health["storage_enabled"], health["storage_ready"]) == (True, True)
    pictures = folder / "pictures"
    pictures.rename(folder / "away")
    refused, health = ask(callers.all, "mask"), callers.all.get("/health")
    (folder / "away").rename(pictures)
    assert (refused.status_code, "FACE_API_RECORDS=required" in refused.json()["detail"]) == (503, True)
    assert (health.status_code, health.json()["storage_ready"]) == (503, False)
    assert (
        health.json()["reason"] == "pictures cannot be stored; the log tells why"
    )  # anyone may ask: no place is named
    masked(callers.all)


def again(client: httpx2.Client, task: str, name: str, **params: str) -> httpx2.Response:
    client.headers["Idempotency-Key"] = name
    try:
        return ask(client, task, **params)
    finally:
        del client.headers["Idempotency-Key"]


@pytest.mark.parametrize("task", ["detect", "mask"])
def test_a_request_that_is_sent_again_under_its_idempotency_key_gets_its_answer_and_leaves_no_other_job(
    callers: Callers, task: str
) -> None:
    first, second = (again(callers.all, task, f"{task}-1") for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200), first.text + second.text
    assert second.content == first.content
    assert (first.headers.get("Idempotency-Replayed"), second.headers["Idempotency-Replayed"]) == (None, "true")
    changing = {"x-request-id", "idempotency-replayed", "server-timing", "date", "ratelimit"}
    kept, repeated = (
        {name: text for name, text in each.headers.items() if name not in changing} for each in (first, second)
    )
    assert repeated == kept
    newest = callers.all.get(JOBS, params={"limit": 2}).json()["jobs"]
    assert [job["id"] for job in newest].count(first.headers["X-Job-Id"]) == 1


def test_an_idempotency_key_is_refused_for_another_request_and_counts_for_its_api_key_alone(callers: Callers) -> None:
    first = again(callers.all, "mask", "one")
    for task, params in (("mask", {"method": "solid"}), ("detect", {})):
        refused = again(callers.all, task, "one", **params)
        assert (refused.status_code, "send a new one" in refused.json()["detail"]) == (422, True)
    others = again(callers.other, "mask", "one")
    assert (others.status_code, others.headers["X-Job-Id"] != first.headers["X-Job-Id"]) == (200, True)
    unclear = again(callers.all, "mask", "x" * 256)
    assert (unclear.status_code, "1 to 255" in unclear.json()["detail"]) == (422, True)


def test_a_request_that_is_still_being_answered_is_not_begun_again(callers: Callers) -> None:
    again(callers.all, "detect", "slow")
    with contextlib.closing(sqlite3.connect(callers.file, timeout=30, isolation_level=None)) as other:
        other.execute("UPDATE once SET job_id = NULL, answer = NULL")
    refused = again(callers.all, "detect", "slow")
    assert (refused.status_code, refused.headers["Retry-After"]) == (409, "1")
    assert "is being answered; retry in 1 second" in refused.json()["detail"]


def test_a_refused_request_leaves_its_idempotency_key_free_and_a_deleted_job_frees_it(callers: Callers) -> None:
    files = {"image": ("a.png", b"no picture", "image/png")}
    headers = {"Idempotency-Key": "free"}
    for _ in range(2):
        assert callers.all.post("/api/v1/mask", files=files, headers=headers).status_code == 400
    first = again(callers.all, "mask", "free")
    assert callers.all.delete(f"{JOBS}/{first.headers['X-Job-Id']}").status_code == 204
    anew = again(callers.all, "mask", "free")
    assert (anew.status_code, anew.headers["X-Job-Id"] != first.headers["X-Job-Id"]) == (200, True)


def test_where_the_picture_is_gone_it_is_masked_again_for_the_same_job(callers: Callers) -> None:
    first = again(callers.all, "mask", "gone")
    assert callers.all.delete(f"{IMAGES}/{first.headers['X-Image-Id']}").status_code == 204
    second = again(callers.all, "mask", "gone")
    assert (second.content, second.headers["X-Job-Id"]) == (first.content, first.headers["X-Job-Id"])
    assert not {"Idempotency-Replayed", "X-Image-Id"} & set(second.headers)


def test_where_no_job_is_kept_the_answer_says_that_the_idempotency_key_was_ignored(callers: Callers) -> None:
    told = again(callers.all, "detect", "nothing", store="false")
    assert (told.status_code, told.headers["X-Ignored-Fields"]) == (200, "Idempotency-Key")
