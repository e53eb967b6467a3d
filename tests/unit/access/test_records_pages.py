"""The console's pages about records, without a browser: what they list, delete and erase, and that it is noted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.console import records_pages
from gateway.records import table
from tests.unit.access.application import OWN, Site, opened
from tests.unit.records.drawn import job

RECORDS = "/console/records"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path) as site:
        site.sign_in()
        yield site


def kept(site: Site, *key_ids: str) -> list[str]:
    jobs = [job(key_id, time.time() - number) for number, key_id in enumerate(key_ids)]
    table.write(site.door.keys.store.database, jobs)
    return [each.id for each in jobs]


def audited(site: Site) -> list[tuple[str, str]]:
    headers = {"x-api-key": site.key(scopes=("admin",))}
    entries: list[dict[str, Any]] = site.client.get("/api/v1/admin/audit", headers=headers).json()["entries"]
    return [(entry["action"], entry["subject"]) for entry in entries if entry["actor"] == "console:admin"]


def test_jobs_of_all_keys_or_of_one_are_listed_newest_first_page_by_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_pages, "PER_PAGE", 2)
    first, second, third = kept(site, "key_a", "key_b", "key_a")
    page = site.client.get(RECORDS).text
    assert (first in page, second in page, third in page) == (True, True, False)
    assert third in site.client.get(f"{RECORDS}?before={second}").text
    of_a = site.client.get(f"{RECORDS}?key=key_a").text
    assert (first in of_a, second in of_a, third in of_a) == (True, False, True)


def test_a_job_is_shown_and_deleted_and_the_log_tells_of_it(site: Site) -> None:
    mine, other = kept(site, "key_a", "key_b")
    assert "max_faces=2" in site.client.get(f"{RECORDS}/{mine}").text
    assert site.client.get(f"{RECORDS}/{mine}/picture").status_code == 404
    assert site.client.post(f"{RECORDS}/{mine}/delete").status_code == 403  # not from a page of ours
    assert site.client.post(f"{RECORDS}/{mine}/delete", headers=OWN).status_code == 303
    assert site.client.get(f"{RECORDS}/{mine}").status_code == 404
    assert site.client.get(f"{RECORDS}/{other}").status_code == 200
    assert audited(site)[0] == ("record deleted", f"job {mine} of key_a")


def test_erasure_is_asked_once_more_and_then_done(site: Site) -> None:
    kept(site, "key_a", "key_a", "key_b")
    form = {"key_id": "key_a", "before": ""}
    asked = site.client.post(f"{RECORDS}/erase", data=form, headers=OWN).text
    assert "Erase records of key_a?" in asked
    assert "2 jobs and 0 pictures" in asked
    assert "key_a" in site.client.get(RECORDS).text
    done = site.client.post(f"{RECORDS}/erase", data=form | {"sure": "yes"}, headers=OWN).text
    assert "Erased: 2 jobs and 0 pictures" in done
    assert "key_a" not in site.client.get(RECORDS).text
    assert [action for action, _ in audited(site)][:2] == ["records erased", "erasure asked"]


@pytest.mark.parametrize("form", [{"key_id": "", "before": ""}, {"key_id": "", "before": "soon"}])
def test_what_cannot_be_erased_is_told_on_the_page(site: Site, form: dict[str, str]) -> None:
    answer = site.client.post(f"{RECORDS}/erase", data=form | {"sure": "yes"}, headers=OWN)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
