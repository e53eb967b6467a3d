"""Who may pass: 401, 403, and keys in the wrong place."""

from __future__ import annotations

import msgspec
import pytest

from gateway.access import auth
from gateway.keys.records import KeyRecord
from gateway.stores.key_format import new_key
from shared.errors import BadParameter, Forbidden, Unauthorized

RECORD = KeyRecord(
    id="key_000000000001", digest="0" * 64, pepper="p", hint="xyl_000000", name="n", scopes=("detect",),
    detect_limit=None, mask_limit=None, created_at=0.0, created_by="t", expires_at=None, revoked_at=None,
    last_used_at=None, replaced_by=None, version=1,
)  # fmt: skip


def record(**changes: object) -> KeyRecord:
    return msgspec.structs.replace(RECORD, **changes)


def test_a_key_in_force_and_in_scope_passes() -> None:
    assert auth.allow(RECORD, "detect", now=1.0) is RECORD


def test_a_key_works_until_its_expiry_and_not_at_it() -> None:
    assert auth.allow(record(expires_at=10.0), "detect", now=9.999)
    with pytest.raises(Unauthorized, match="expired at 1970-01-01T00:00:10Z"):
        auth.allow(record(expires_at=10.0), "detect", now=10.0)


def test_a_rotated_key_that_expired_says_so() -> None:
    with pytest.raises(Unauthorized, match="was replaced and expired"):
        auth.allow(record(expires_at=10.0, replaced_by="key_2"), "detect", now=11.0)


def test_a_revoked_key_is_forbidden_even_when_it_expired_too() -> None:
    with pytest.raises(Forbidden, match="revoked"):
        auth.allow(record(revoked_at=5.0, expires_at=6.0), "detect", now=7.0)


def test_a_key_outside_its_scope_is_forbidden_and_told_its_scopes() -> None:
    with pytest.raises(Forbidden, match="may not use mask; its scopes are detect"):
        auth.allow(RECORD, "mask", now=1.0)


def test_the_admin_scope_does_not_include_the_others() -> None:
    with pytest.raises(Forbidden):
        auth.allow(record(scopes=("admin",)), "detect", now=1.0)


def test_no_key_is_told_where_to_put_one() -> None:
    for missing in (None, b""):
        with pytest.raises(Unauthorized, match="X-API-Key"):
            auth.require_key(missing)


def test_the_key_is_read_from_its_header_and_trimmed() -> None:
    assert auth.presented_key([(b"host", b"x"), (b"x-api-key", b" abc ")]) == b"abc"
    assert auth.presented_key([(b"authorization", b"Bearer abc")]) is None


def test_two_different_keys_in_one_request_are_refused() -> None:
    assert auth.presented_key([(b"x-api-key", b"a"), (b"x-api-key", b"a")]) == b"a"
    with pytest.raises(Unauthorized, match="twice"):
        auth.presented_key([(b"x-api-key", b"a"), (b"x-api-key", b"b")])


@pytest.mark.parametrize(
    "query",
    [
        b"api_key=1", b"confidence=0.5&api-key=1", b"X-API-Key=1", b"apikey=1", b"access_token=1",
        pytest.param(b"k=" + new_key().encode(), id="a key"),
        pytest.param(b"k=" + new_key().replace("xyl_", "xyl%5f").encode(), id="a disguised key"),
    ],
)  # fmt: skip
def test_a_key_in_the_query_string_is_refused_with_words(query: bytes) -> None:
    with pytest.raises(BadParameter, match="must not stand in the URL") as refusal:
        auth.refuse_key_in_url(query)
    assert "xyl_" not in str(refusal.value)


@pytest.mark.parametrize("query", [b"", b"confidence=0.5&max_faces=3", b"monkey=1", b"keyframe=2"])
def test_other_parameters_pass(query: bytes) -> None:
    auth.refuse_key_in_url(query)


def test_all_wrong_keys_get_the_same_words() -> None:
    assert str(auth.wrong_key()) == "Invalid API key"
    assert not auth.could_be_a_key(b"x" * 100_000)
    assert not auth.could_be_a_key(b"xyl_nonsense")
    assert auth.could_be_a_key(new_key().encode())
