"""The records' part of the OpenAPI document: what a key may ask of what was kept of its own requests."""

from __future__ import annotations

from typing import Any

from gateway.docs.openapi_parts import Json, error_answers, headers, json_answer, query_parameter, ref
from gateway.pictures.encode import OUTPUTS
from gateway.pictures.input_formats import INPUTS
from gateway.records.image import ImagePage, ImageUrl, ShownImage
from gateway.records.images import URL_S
from gateway.records.job import JobPage, ShownJob
from gateway.routes import images, jobs
from gateway.routes.records_door import LIMIT, LIMIT_MAX

TAG = {
    "name": "Records",
    "description": "What was kept of a key's own requests, where `FACE_API_RECORDS` is best_effort or required: a job "
    "for each answer of detect and mask, without file name, address or pixels, and with `FACE_API_STORAGE_URL` the "
    "masked picture. Both are deleted after `FACE_API_RECORDS_TTL` hours. With `store=false` a request leaves nothing, "
    "and with `annotate=true` no masked picture. Pictures as they came, of detect too, are kept only with "
    "`FACE_API_STORAGE_ORIGINALS`; `kind` tells them apart. Keys need the scopes `records:read` and `records:delete`; "
    "what is another key's is 404, and so is everything where none is kept.",
}
SCHEMAS = (JobPage, ShownJob, ImagePage, ShownImage, ImageUrl)
_ERRORS = (401, 403, 404, 422, 429, 500, 503)
_RATE = ("X-Request-Id", "RateLimit-Policy", "RateLimit")

_SIZE = {"width": "Of the upright picture in pixels", "height": "Of the upright picture in pixels"}
_KEPT = {"id": "UUIDv7: sorts by time", "expires_at": "When it is deleted; RFC 3339, UTC"}
#: Schema → field → what it means.
FIELDS: dict[str, dict[str, str]] = {
    "ShownJob": {
        **_KEPT,
        "request_id": "The answer's X-Request-Id",
        "parameters": "Those that differ from their defaults",
        **_SIZE,
        "faces": "Faces found",
        "masked": "How many of them were masked; null for detect",
        "boxes": "At most 1000, as detect answers them",
        "bytes_in": "Of the file as sent",
        "bytes_out": "Of the answer's body",
        "sha256_in": "Of the file as sent",
        "sha256_out": "Of the answer's body",
        "image_id": "Of the picture that the answer named, masked of mask; null where none was or it was deleted",
        "original_id": "Of the picture as it came; null where it was not kept or was deleted",
    },
    "JobPage": {"next_cursor": "The `cursor` of the next page; null on the last one"},
    "ShownImage": {
        **_KEPT,
        "job_id": "Of the job it was kept with",
        "kind": "`masked`, or `original`: as it came, faces and all",
        **_SIZE,
        "bytes": "Of the picture's file",
    },
    "ImagePage": {"next_cursor": "The `cursor` of the next page; null on the last one"},
    "ImageUrl": {"url": "Whoever has it may read the picture, without a key", "expires_at": "Until when"},
}

_JOB_ID, _IMAGE_ID = "01931f2e-8f5c-7a31-9c4e-0d6f1b2a3c4d", "01931f2e-9001-7b52-8a11-5f0e3c2d1b4a"
_DIGEST = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
_TIMES = {"created_at": "2026-11-28T12:52:00Z", "expires_at": "2026-11-29T12:52:00Z"}
_JOB: Json = {
    "id": _JOB_ID, "request_id": "550e8400-e29b-41d4-a716-446655440000", "endpoint": "mask", "state": "done", **_TIMES,
    "model": "scrfd_10g", "parameters": {"method": "solid"}, "width": 1920, "height": 1080, "faces": 1, "masked": 1,
    "boxes": [{"x1": 100.5, "y1": 200.3, "x2": 300.1, "y2": 400.7, "confidence": 0.9876}],
    "bytes_in": 245760, "bytes_out": 231004,
    "sha256_in": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "sha256_out": _DIGEST,
    "image_id": _IMAGE_ID, "original_id": None,
}  # fmt: skip
_IMAGE: Json = {
    "id": _IMAGE_ID, "job_id": _JOB_ID, "kind": "masked", **_TIMES, "media_type": "image/jpeg", "width": 1920,
    "height": 1080, "bytes": 231004, "sha256": _DIGEST,
}  # fmt: skip
#: Name of an answer's type → an answer.
EXAMPLES: dict[str, Json] = {
    "ShownJob": _JOB,
    "JobPage": {"jobs": [_JOB], "next_cursor": None},
    "ShownImage": _IMAGE,
    "ImagePage": {"images": [_IMAGE], "next_cursor": None},
    "ImageUrl": {"url": "https://bucket.s3.amazonaws.com/…", "expires_at": "2026-11-28T12:57:00Z"},
}


def paths() -> Json:
    """Path → method → operation."""
    job, image = f"{jobs.PATH}/{{job_id}}", f"{images.PATH}/{{image_id}}"
    return {
        jobs.PATH: {"get": _list("listJobs", "Jobs, newest first", "JobPage", jobs.PATH)},
        job: {
            "get": _of_one("getJob", "One job", job, _answer("The job", "ShownJob")),
            "delete": _of_one("deleteJob", "Delete a job, and its picture", job, _gone(), "-X DELETE "),
        },
        images.PATH: {"get": _list("listImages", "Kept pictures, newest first", "ImagePage", images.PATH)},
        image: {
            "get": _of_one("getImage", "What is known of one picture", image, _answer("The image", "ShownImage")),
            "delete": _of_one("deleteImage", "Delete a picture", image, _gone(), "-X DELETE "),
        },
        f"{image}/content": {
            "get": _of_one("getImageContent", "The picture itself", f"{image}/content", _content(), "-o masked.jpg ")
        },
        f"{image}/url": {"get": _of_one("getImageUrl", _URL_SUMMARY, f"{image}/url", _answer("The URL", "ImageUrl"))},
    }


_URL_SUMMARY = f"A URL of its own for {URL_S // 60} minutes, where pictures are kept in a bucket"


def _list(name: str, summary: str, answer: str, path: str) -> Json:
    size = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT}
    cursor = {"type": "string", "format": "uuid"}
    parameters = [
        query_parameter("limit", size, "Most of them in the answer"),
        query_parameter("cursor", cursor, "Where the page before this one ended, its `next_cursor`"),
    ]
    return _operation(name, summary, parameters, _answer("A page of them", answer), f"{path}?limit=10")


def _gone() -> Json:
    return {
        "204": {"description": "It is deleted", "headers": headers(_RATE)},
        "202": {
            "description": "Nobody can see it any more; its picture is deleted as soon as the storage answers",
            "headers": headers(_RATE),
        },
    }


def _content() -> Json:
    file = {"type": "string", "format": "binary"}
    kinds = sorted({each.media_type for each in OUTPUTS.values()} | {each.media_type for each in INPUTS.values()})
    content = {kind: {"schema": file | {"contentMediaType": kind}} for kind in kinds}
    return {"200": {"description": "The picture", "headers": headers((*_RATE, "ETag")), "content": content}}


def _of_one(name: str, summary: str, path: str, ok: Json, option: str = "") -> Json:
    field, header, example = (
        ("job_id", "X-Job-Id", _JOB_ID) if "job_id" in path else ("image_id", "X-Image-Id", _IMAGE_ID)
    )
    parameter = {
        "name": field, "in": "path", "required": True, "description": f"As in {header}",
        "schema": {"type": "string", "format": "uuid"},
    }  # fmt: skip
    return _operation(name, summary, [parameter], ok, path.replace(f"{{{field}}}", example), option)


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
