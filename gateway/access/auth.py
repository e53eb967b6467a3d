"""Who is calling, decided from headers and known keys alone. Pure: no clock, no store, no body.

It alone knows what counts as a key in a request, and the words of 401 and 403.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from gateway.keys.records import KeyRecord, Scope, iso
from gateway.stores.key_format import well_formed
from shared.errors import BadParameter, Forbidden, Unauthorized

HEADER = b"x-api-key"

# Names under which people put keys into URLs; `xyl_` catches a key under any other name.
_KEY_NAMES = re.compile(rb"(?:^|[&;])(?:x[-_]?)?(?:api[-_]?key|apikey|access[-_]?token|auth[-_]?token)=", re.IGNORECASE)
_HEADER_BYTES_MAX = 200


def refuse_key_in_url(query: bytes) -> None:
    """BadParameter where the query string carries a key: URLs end up in logs and histories."""
    if not query:
        return
    plain = unquote_to_bytes(query) if b"%" in query else query
    if b"xyl_" in plain or _KEY_NAMES.search(plain):
        raise BadParameter(
            "An API key must not stand in the URL, where logs and histories keep it: send it in the X-API-Key header. "
            "If this was a real key, revoke it now"
        )


def presented_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The key of the X-API-Key header; None where there is none. Unauthorized for two different ones."""
    found: bytes | None = None
    for name, value in headers:
        if name == HEADER:
            if found is not None and found != value:
                raise Unauthorized("X-API-Key was sent twice with different keys: send it once")
            found = value
    return found.strip() if found is not None else None


def require_key(key: bytes | None) -> bytes:
    """Unauthorized where the key is missing."""
    if not key:
        raise Unauthorized("Missing API key: send it in the X-API-Key header")
    return key


def could_be_a_key(key: bytes) -> bool:
    """Whether it is worth asking anybody about."""
    return len(key) <= _HEADER_BYTES_MAX and well_formed(key)


def wrong_key() -> Unauthorized:
    """One answer for every key that nobody issued, whatever is wrong with it."""
    return Unauthorized("Invalid API key")


def allow(record: KeyRecord, scope: Scope, now: float) -> KeyRecord:
    """The record where it may do this now. Forbidden: revoked or outside its scope; Unauthorized: expired."""
    state = record.state(now)
    if state == "revoked":
        raise Forbidden("API key revoked")
    if state == "expired":
        how = "was replaced and " if record.replaced_by else ""
        raise Unauthorized(f"API key {how}expired at {iso(record.expires_at)}")
    if scope not in record.scopes:
        raise Forbidden(f"This API key may not use {scope}; its scopes are {', '.join(record.scopes)}")
    return record
