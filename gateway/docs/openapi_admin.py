"""The admin endpoints' part of the OpenAPI document: what scripts with an admin key may ask, and what is answered."""

from __future__ import annotations

from typing import Any

from gateway.docs.openapi_parts import Json, error_answers, headers, json_answer, query_parameter, ref
from gateway.keys.records import LIMIT_MAX, NAME_LENGTH_MAX, SCOPES
from gateway.keys.shown import AuditPage, Key, KeyDetails, KeyPage, MadeKey
from gateway.records.erasing import Erased
from gateway.reporting.overview import Overview
from gateway.reporting.system_facts import System
from gateway.routes.admin import (
    ID_CHARACTERS_MAX,
    PER_PAGE_MAX,
    PREFIX,
    SEARCHED_MAX,
    CreateBody,
    EraseBody,
    RotateBody,
)

TAG = {
    "name": "Administration",
    "description": "Keys, audit log and state as JSON, for keys with the scope `admin`; what `/console` does but "
    "for looking at records.",
}
ERRORS = (401, 403, 422, 429, 500, 503)
_RATE = ("X-Request-Id", "RateLimit-Policy", "RateLimit")


#: Types whose schemas this part needs.
SCHEMAS = (CreateBody, RotateBody, EraseBody, Erased, Key, KeyPage, KeyDetails, MadeKey, AuditPage, Overview, System)

_RECORDS_TTL = {"records_ttl": "Seconds that what its requests leave is kept at most; null as long as everybody's"}
#: Schema → field → what it means.
FIELDS: dict[str, dict[str, str]] = {
    "CreateBody": {
        "name": "1 to 100 characters, for people",
        "scopes": f"Any of {', '.join(SCOPES)}",
        "expires_in": "Seconds, or 90d, 24h, 30m; null for never",
        "detect_limit": "Detect requests in a window for this key; null leaves it to the client's address",
        "mask_limit": "The same for mask",
        "records_ttl": "Most time that jobs and pictures of its requests are kept: seconds, or 6h, 30d; null for the "
        "service's own FACE_API_RECORDS_TTL, which holds where it is shorter",
    },
    "Key": _RECORDS_TTL,
    "RotateBody": {"grace": "How long the old key goes on working: seconds, or 24h; 0 to 30 days"},
    "EraseBody": {
        "key_id": "Whose: `key_…`, or `anonymous`; null for all keys'",
        "before": "Only what was made before this day or moment, 2026-11-28 or 2026-11-28T12:00:00Z; null for all",
    },
    "MadeKey": {"key": "The key itself, shown this once", **_RECORDS_TTL},
    "ListedKey": {"requests_today": "Since midnight UTC", **_RECORDS_TTL},
    "KeyDetails": {"requests_by_day": "The last 30 days, UTC, today last", **_RECORDS_TTL},
    "KeyPage": {"total": "How many there are beside this page"},
    "AuditEntry": {"at": "RFC 3339, UTC", "actor": "`console:admin`, `key:key_…` or `command line`"},
    "Overview": {
        "requests": "Since the start, as all counts",
        "p50_ms": "Of the last five minutes; null without requests",
        "minutes": "The last hour, the present minute last",
    },
    "KeyStore": {"pepper": "Name of the pepper in use, not the pepper"},
    "Setting": {"value": "Secrets are shown as ***"},
}

_DURATION: Json = {"type": "string", "pattern": "^[0-9]{1,9}[smhd]?$"}
_SECONDS: Json = {"type": "integer", "minimum": 0}
_LIMIT: Json = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}
_NULL: Json = {"type": "null"}
#: Schema → field → what is checked of it beyond its type, by `gateway/keys/records.py`.
RANGES: dict[str, dict[str, Json]] = {
    "CreateBody": {
        "name": {"minLength": 1, "maxLength": NAME_LENGTH_MAX},
        "scopes": {"items": {"type": "string", "enum": list(SCOPES)}, "minItems": 1},
        "expires_in": {"anyOf": [_DURATION, _SECONDS, _NULL]},
        "detect_limit": {"anyOf": [_LIMIT, _NULL]},
        "mask_limit": {"anyOf": [_LIMIT, _NULL]},
        "records_ttl": {"anyOf": [_DURATION, _SECONDS, _NULL]},
    },
    "RotateBody": {"grace": {"anyOf": [_DURATION, _SECONDS]}},
}

_KEY: Json = {
    "id": "key_0a1b2c3d4e5f", "name": "ci", "hint": "xyl_0a1b…", "state": "active", "scopes": ["detect"],
    "detect_limit": 600, "mask_limit": None, "records_ttl": None,
    "created_at": "2026-11-22T12:52:00Z", "created_by": "console:admin",
    "expires_at": None, "revoked_at": None, "last_used_at": None, "replaced_by": None,
}  # fmt: skip
_ENTRY: Json = {
    "id": "000630", "at": "2026-11-22T12:52:00Z", "actor": "console:admin", "action": "key created",
    "subject": "key_0a1b2c3d4e5f", "detail": "ci, detect", "address": "192.0.2.7",
}  # fmt: skip
_OVERVIEW: Json = {
    "requests": 1204, "requests_by_endpoint": {"detect": 1000, "mask": 204}, "requests_last_minute": 31, "faces": 988,
    "statuses": {"200": 1190, "400": 14}, "client_errors": 14, "server_errors": 0, "refused_by_limit": 0,
    "wrong_key_refusals": 0, "limiter_failures": {}, "p50_ms": 18.5, "p95_ms": 31.0, "p99_ms": 44.2, "in_flight": 1,
    "queued": 0, "gateway_processes": 1, "workers": [{"name": "worker 0", "state": "serving", "model": "scrfd_10g"}],
    "minutes": [{"requests": 31, "errors": 0}],
}  # fmt: skip
_SYSTEM: Json = {
    "versions": {"python": "3.11.7", "onnxruntime": "1.31.1"},
    "models": [
        {"name": "scrfd_10g", "precision": "fp32", "provider": "CPUExecutionProvider", "license": "", "note": ""}
    ],
    "key_store": {"kind": "sqlite", "ready": True, "pepper": "a1b2c3d4", "several_hosts": False},
    "rate_limit": {"across_hosts": False, "enabled": True},
    "settings": [
        {"variable": "FACE_API_PORT", "value": "8000", "default": "8000", "range": "0 to 65535", "meaning": "Port"}
    ],
}
#: Name of an answer's type → an answer.
EXAMPLES: dict[str, Json] = {
    "Key": _KEY,
    "KeyPage": {"keys": [_KEY | {"requests_today": 3}], "total": 1},
    "KeyDetails": _KEY | {"requests_today": 3, "requests_by_day": {"2026-11-22": 3}},
    "MadeKey": _KEY | {"key": "xyl_0a1b…"},
    "AuditPage": {"entries": [_ENTRY]},
    "Erased": {"jobs": 12, "images": 7},
    "Overview": _OVERVIEW,
    "System": _SYSTEM,
}


def paths() -> Json:
    """Path → method → operation."""
    return {
        f"{PREFIX}/keys": {"get": _list(), "post": _create()},
        f"{PREFIX}/keys/{{key_id}}": {
            "get": _of_one("getKey", "One key and its requests by day", "KeyDetails"),
            "delete": _of_one("deleteKey", "Revoke a key", "Key"),
        },
        f"{PREFIX}/keys/{{key_id}}/rotate": {"post": _rotate()},
        f"{PREFIX}/keys/{{key_id}}/revoke": {"post": _of_one("revokeKey", "Revoke a key", "Key")},
        f"{PREFIX}/erase": {"post": _erase()},
        f"{PREFIX}/audit": {"get": _audit()},
        f"{PREFIX}/overview": {"get": _operation("overview", "What the service is doing", "Overview")},
        f"{PREFIX}/system": {"get": _operation("system", "Versions, model, settings without secrets", "System")},
    }


def _list() -> Json:
    state = {"type": "string", "enum": ["active", "expired", "revoked"]}
    parameters = [
        query_parameter("search", {"type": "string", "maxLength": SEARCHED_MAX}, "A part of a key's name, id or hint"),
        query_parameter("state", state, "Only keys in this state"),
        query_parameter(
            "offset", {"type": "integer", "minimum": 0, "maximum": 10_000_000, "default": 0}, "Keys to pass over"
        ),
        query_parameter("count", _page_size(), "Most keys in the answer"),
    ]
    return _operation("listKeys", "Keys, newest first", "KeyPage", parameters=parameters)


def _create() -> Json:
    body = _body("CreateBody", {"name": "ci", "scopes": ["detect"], "expires_in": "90d"})
    made = _operation("createKey", "Make a key", "MadeKey", status=201, requestBody=body | {"required": True})
    made["responses"]["201"]["links"] = {name: _of_the_made_key(name) for name in ("getKey", "rotateKey", "revokeKey")}
    return made


def _of_the_made_key(operation: str) -> Json:
    """What can be asked next."""
    return {"operationId": operation, "parameters": {"key_id": "$response.body#/id"}}


def _rotate() -> Json:
    body = _body("RotateBody", {"grace": "24h"})
    return _of_one("rotateKey", "A new key in place of this one", "MadeKey", status=201, requestBody=body)


def _erase() -> Json:
    body = _body("EraseBody", {"key_id": "key_0a1b2c3d4e5f", "before": "2026-11-28"}) | {"required": True}
    return _operation("eraseRecords", "Erase jobs and images by key, by date, or both", "Erased", requestBody=body)


def _audit() -> Json:
    parameters = [
        query_parameter("search", {"type": "string", "maxLength": SEARCHED_MAX}, "A part of any column"),
        query_parameter(
            "before", {"type": "string", "maxLength": ID_CHARACTERS_MAX}, "The id of the last entry already seen"
        ),
        query_parameter("count", _page_size(), "Most entries in the answer"),
    ]
    return _operation("audit", "Who did what, newest first", "AuditPage", parameters=parameters)


def _of_one(name: str, summary: str, answer: str, **more: Any) -> Json:
    path = {
        "name": "key_id", "in": "path", "required": True, "description": "`key_…`, never the key itself",
        "schema": {"type": "string"},
    }  # fmt: skip
    made = _operation(name, summary, answer, parameters=[path], **more)
    return made | {"responses": made["responses"] | error_answers([404])}


def _operation(name: str, summary: str, answer: str, status: int = 200, **more: Any) -> Json:
    answered = json_answer(summary, ref(answer), EXAMPLES[answer]) | {"headers": headers(_RATE)}
    return {
        "tags": [TAG["name"]],
        "operationId": name,
        "summary": summary,
        "security": [{"ApiKey": []}],
        **more,
        "responses": {str(status): answered, **error_answers(ERRORS), **_too_large(more)},
    }


def _too_large(more: Json) -> Json:
    return error_answers([413]) if "requestBody" in more else {}


def _body(name: str, example: Json) -> Json:
    return {"content": {"application/json": {"schema": ref(name), "example": example}}}


def _page_size() -> Json:
    return {"type": "integer", "minimum": 1, "maximum": PER_PAGE_MAX, "default": 100}
