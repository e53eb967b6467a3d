"""Images over HTTP: the id on mask's answer, what it leads to, who may see it, and what keeps none."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import httpx2
import msgspec
import pytest

from gateway.records.image import ImagePage, ShownImage
from gateway.routes.records_door import NO_PICTURES
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


def test_where_no_pictures_are_kept_the_endpoints_say_which_setting_would(tmp_path: Path) -> None:
    with serving(tmp_path, records="required") as callers:
        answer = ask(callers.all, "mask")
        assert not {"X-Image-Id", "X-Image-Status"} & set(answer.headers)
        told = callers.all.get(IMAGES)
        assert (told.status_code, told.json()) == (404, {"detail": NO_PICTURES})
