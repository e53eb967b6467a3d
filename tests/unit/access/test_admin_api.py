"""/api/v1/admin: everything the console does, for scripts with an admin key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.routes.admin import BODY_BYTES_MAX
from gateway.stores.key_format import new_key, well_formed
from tests.unit.access.application import Site, opened

KEYS = "/api/v1/admin/keys"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path) as site:
        site.client.headers["x-api-key"] = site.key(scopes=("admin",), name="boss")
        yield site


def made(site: Site, **body: Any) -> dict[str, Any]:
    answer = site.client.post(KEYS, json={"name": "ci"} | body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_key_is_made_and_shown_once(site: Site) -> None:
    key = made(site, scopes=["detect"], expires_in="90d", detect_limit=5, records_ttl="6h")
    assert well_formed(key["key"].encode())
    assert (key["name"], key["scopes"], key["detect_limit"], key["state"]) == ("ci", ["detect"], 5, "active")
    shown = site.client.get(f"{KEYS}/{key['id']}").json()
    assert "key" not in shown and "digest" not in shown
    assert shown["records_ttl"] == 6 * 3600
    noted = site.client.get("/api/v1/admin/audit", params={"search": key["id"]}).json()["entries"]
    assert "records kept 6h" in noted[0]["detail"]
    assert shown["created_by"].startswith("key:key_")
    assert len(shown["requests_by_day"]) == 30


def test_keys_are_listed_searched_and_paged(site: Site) -> None:
    for n in range(3):
        made(site, name=f"batch {n}")
    assert site.client.get(KEYS).json()["total"] == 4
    page = site.client.get(KEYS, params={"search": "batch", "count": 2, "offset": 2, "state": "active"}).json()
    assert (page["total"], [key["name"] for key in page["keys"]]) == (3, ["batch 0"])


def test_a_key_is_rotated_and_revoked(site: Site) -> None:
    key = made(site)
    successor = site.client.post(f"{KEYS}/{key['id']}/rotate", json={"grace": "1h"})
    assert successor.status_code == 201
    assert successor.json()["key"] != key["key"]
    assert site.client.get(f"{KEYS}/{key['id']}").json()["replaced_by"] == successor.json()["id"]
    for revoke in (site.client.delete(f"{KEYS}/{key['id']}"), site.client.post(f"{KEYS}/{key['id']}/revoke")):
        assert (revoke.status_code, revoke.json()["state"]) == (200, "revoked")


def test_audit_overview_and_system_are_told(site: Site) -> None:
    made(site, name="told")
    entries = site.client.get("/api/v1/admin/audit", params={"search": "told"}).json()["entries"]
    assert [entry["action"] for entry in entries] == ["key created"]
    assert site.client.get("/api/v1/admin/overview").json()["requests"] == 0
    system = site.client.get("/api/v1/admin/system").json()
    assert system["key_store"]["ready"] is True
    assert any(row["variable"] == "FACE_API_KEY_PEPPER" for row in system["settings"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": ""}, "name"),
        ({"name": "n", "scopes": ["root"]}, "root is unknown"),
        ({"name": "n", "scopes": []}, "scopes"),
        ({"name": "n", "expires_in": "soon"}, "no duration"),
        ({"name": "n", "detect_limit": 0}, "detect_limit"),
        ({"name": "n", "limit": 5}, "limit"),
        ({}, "name"),
    ],
)
def test_wrong_bodies_are_422_with_words(site: Site, body: dict[str, Any], words: str) -> None:
    answer = site.client.post(KEYS, json=body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert "ratelimit" in answer.headers


def test_bodies_have_a_limit(site: Site) -> None:
    fits = b'{"name":"n"}'.ljust(BODY_BYTES_MAX)
    assert site.client.post(KEYS, content=fits).status_code == 201
    assert site.client.post(KEYS, content=fits + b" ").status_code == 413


def test_a_broken_body_that_holds_a_key_does_not_come_back(site: Site) -> None:
    answer = site.client.post(KEYS, content=b'{"name": 5, "' + new_key().encode() + b'": 1}')
    assert answer.status_code == 422
    assert "xyl_" not in answer.text or "…" in answer.text


def test_without_an_admin_key_nothing_is_told(site: Site) -> None:
    for headers, status in (
        ({"x-api-key": ""}, 401),
        ({"x-api-key": new_key()}, 401),
        ({"x-api-key": site.key(scopes=("detect", "mask"))}, 403),
    ):
        for path in (KEYS, "/api/v1/admin/audit", "/api/v1/admin/overview", "/api/v1/admin/system", f"{KEYS}/x"):
            assert site.client.get(path, headers=headers).status_code == status
        assert site.client.post(KEYS, json={"name": "n"}, headers=headers).status_code == status


def test_a_console_session_is_not_taken(site: Site) -> None:
    site.sign_in()
    del site.client.headers["x-api-key"]
    assert site.client.get("/console/keys").status_code == 200
    assert site.client.get(KEYS).status_code == 401


def test_a_key_in_the_path_or_query_is_refused_unrepeated(site: Site) -> None:
    key = new_key()
    for answer in (
        site.client.get(f"{KEYS}/{key}"),
        site.client.delete(f"{KEYS}/{key}"),
        site.client.get(KEYS, params={"api_key": key}),
    ):
        assert answer.status_code == 422
        assert key[10:] not in answer.text


def test_an_unknown_key_is_404_and_a_wrong_parameter_422(site: Site) -> None:
    assert site.client.get(f"{KEYS}/key_000000000000").status_code == 404
    for params in ({"count": "0"}, {"count": "1001"}, {"offset": "-1"}, {"state": "dead"}, {"count": "²"}):
        assert site.client.get(KEYS, params=params).status_code == 422


def test_admin_requests_have_a_limit_of_their_own(tmp_path: Path) -> None:
    with opened(tmp_path, rate_limit_admin=2) as site:
        site.client.headers["x-api-key"] = site.key(scopes=("admin",))
        assert [site.client.get(KEYS).status_code for _ in range(3)] == [200, 200, 429]


def test_requests_that_a_store_which_is_down_could_not_answer_are_not_charged(tmp_path: Path) -> None:
    with opened(tmp_path, rate_limit_admin=2) as site:
        headers = {"x-api-key": site.key(scopes=("admin",))}
        assert site.client.get("/api/v1/admin/keys", headers=headers).status_code == 200
        store = tmp_path / "var" / "keys.sqlite"
        hidden = store.rename(store.with_suffix(".hidden"))
        for _ in range(3):
            assert site.client.get("/api/v1/admin/keys", headers=headers).status_code == 503
        hidden.rename(store)
        assert site.client.get("/api/v1/admin/keys", headers=headers).status_code == 200
        assert site.client.get("/api/v1/admin/keys", headers=headers).status_code == 429


def test_with_the_store_gone_reading_and_writing_are_503(site: Site, tmp_path: Path) -> None:
    site.client.get(KEYS)
    (tmp_path / "var" / "keys.sqlite").unlink()
    for answer in (site.client.get(KEYS), site.client.post(KEYS, json={"name": "n"})):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"


WRONG_BODIES = (
    (b"{", "The body is not JSON; send an object"),
    (b'{"name": "\xff"}', "The body is not JSON; send an object"),
    (b'{"name": "\\ud800"}', "The body is not JSON; send an object"),
    (b'{"name": ' + b"[" * 60_000, "The body is not JSON; send an object"),
    (b'{"detect_limit": ' + b"9" * 5000 + b"}", "The body is not JSON; send an object"),
    (b"[]", "JSON but no object"),
    (b"{}", "name is missing; it is text"),
    (b'{"nmae": "ci"}', "unknown field 'nmae'; did you mean name? Known: name, scopes,"),
    (b'{"name": 5}', "name: must be text"),
    (b'{"name": "ci", "scopes": "detect"}', "scopes: must be a list of texts"),
    (b'{"name": "ci", "expires_in": 1.5}', "expires_in: must be a duration such as"),
    (b'{"name": "ci", "expires_in": "\xc2\xb2d"}', "is no duration; write 90d, 24h"),
    (b'{"name": "ci", "expires_in": 99999999999999999999}', "is no duration; write 90d, 24h"),
    (b'{"name": "ci", "mask_limit": "many"}', "mask_limit: must be a whole number, or null"),
)


def test_a_wrong_body_is_told_by_field_and_without_a_parsers_words(site: Site) -> None:
    for body, words in WRONG_BODIES:
        answer = site.client.post(KEYS, content=body)
        assert answer.status_code == 422, body[:40]
        assert words in answer.json()["detail"]


def test_a_wrong_number_in_the_query_is_told_and_an_empty_one_is_missing(site: Site) -> None:
    for text in ("\xb2", "-1", "5.5", "0" * 5000, "1e999999999", "1_0", "x"):
        assert "whole number from 0" in site.client.get(KEYS, params={"offset": text}).json()["detail"]
    assert site.client.get(KEYS, params={"offset": "", "count": "1e1", "state": ""}).status_code == 200
