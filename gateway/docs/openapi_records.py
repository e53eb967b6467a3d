"""The jobs' part of the OpenAPI document: what a key may ask of what was kept of its own requests."""

from __future__ import annotations

from typing import Any

from gateway.docs.openapi_parts import Json, error_answers, headers, json_answer, query_parameter, ref
from gateway.records.job import JobPage, ShownJob
from gateway.routes.jobs import LIMIT, LIMIT_MAX, PATH

TAG = {
    "name": "Records",
    "description": "What was kept of a key's own requests, where `FACE_API_RECORDS` is best_effort or required: a job "
    "for each answer of detect and mask, without file name, address or pixels, deleted after `FACE_API_RECORDS_TTL` "
    "hours. With `store=false` a request leaves none. Keys need the scopes `records:read` and `records:delete`; "
    "another key's job is 404, and so is everything where no records are kept.",
}
SCHEMAS = (JobPage, ShownJob)
_ERRORS = (401, 403, 404, 422, 429, 500, 503)
_RATE = ("X-Request-Id", "RateLimit-Policy", "RateLimit")

#: Schema → field → what it means.
FIELDS: dict[str, dict[str, str]] = {
    "ShownJob": {
        "id": "UUIDv7: sorts by time",
        "request_id": "The answer's X-Request-Id",
        "expires_at": "When it is deleted; RFC 3339, UTC",
        "parameters": "Those that differ from their defaults",
        "width": "Of the upright picture in pixels",
        "height": "Of the upright picture in pixels",
        "faces": "Faces found",
        "masked": "How many of them were masked; null for detect",
        "boxes": "At most 1000, as detect answers them",
        "bytes_in": "Of the file as sent",
        "bytes_out": "Of the answer's body",
        "sha256_in": "Of the file as sent",
        "sha256_out": "Of the answer's body; of detect's as it is with `job_id` null",
    },
    "JobPage": {"next_cursor": "The `cursor` of the next page; null on the last one"},
}

_JOB: Json = {
    "id": "01931f2e-8f5c-7a31-9c4e-0d6f1b2a3c4d", "request_id": "550e8400-e29b-41d4-a716-446655440000",
    "endpoint": "mask", "state": "done", "created_at": "2026-11-28T12:52:00Z", "expires_at": "2026-11-29T12:52:00Z",
    "model": "scrfd_10g", "parameters": {"method": "solid"}, "width": 1920, "height": 1080, "faces": 1, "masked": 1,
    "boxes": [{"x1": 100.5, "y1": 200.3, "x2": 300.1, "y2": 400.7, "confidence": 0.9876}],
    "bytes_in": 245760, "bytes_out": 231004,
    "sha256_in": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "sha256_out": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
}  # fmt: skip
#: Name of an answer's type → an answer.
EXAMPLES: dict[str, Json] = {"ShownJob": _JOB, "JobPage": {"jobs": [_JOB], "next_cursor": None}}


def paths() -> Json:
    """Path → method → operation."""
    return {
        PATH: {"get": _list()},
        f"{PATH}/{{job_id}}": {
            "get": _of_one("getJob", "One job", _answer("The job", "ShownJob")),
            "delete": _delete(),
        },
    }


def _list() -> Json:
    size = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT}
    cursor = {"type": "string", "format": "uuid"}
    parameters = [
        query_parameter("limit", size, "Most jobs in the answer"),
        query_parameter("cursor", cursor, "Where the page before this one ended, its `next_cursor`"),
    ]
    return _operation("listJobs", "Jobs, newest first", parameters, _answer("The jobs", "JobPage"), f"{PATH}?limit=10")


def _delete() -> Json:
    gone = {"204": {"description": "It is deleted", "headers": headers(_RATE)}}
    return _of_one("deleteJob", "Delete a job", gone, "-X DELETE ")


def _of_one(name: str, summary: str, ok: Json, option: str = "") -> Json:
    job_id = {
        "name": "job_id", "in": "path", "required": True, "description": "As in X-Job-Id",
        "schema": {"type": "string", "format": "uuid"},
    }  # fmt: skip
    return _operation(name, summary, [job_id], ok, f"{PATH}/{_JOB['id']}", option)


def _operation(name: str, summary: str, parameters: list[Json], ok: Json, path: str, option: str = "") -> Json:
    line = f'curl {option}-H "X-API-Key: xyl_your_api_key_here" "http://localhost:8000{path}"'
    return {
        "tags": [TAG["name"]],
        "operationId": name,
        "summary": summary,
        "security": [{"ApiKey": []}],
        "parameters": parameters,
        "responses": {**ok, **error_answers(_ERRORS)},
        "x-codeSamples": [{"lang": "Shell", "label": "curl", "source": line}],
    }


def _answer(description: str, name: str) -> dict[str, Any]:
    return {"200": json_answer(description, ref(name), EXAMPLES[name]) | {"headers": headers(_RATE)}}
