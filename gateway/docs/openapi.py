"""The OpenAPI 3.1 document, assembled from the types that the endpoints themselves use.

`python -m gateway.docs.openapi` prints it; `> tests/contract/openapi.json` refreshes the snapshot the tests compare.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, get_args

import msgspec

from gateway.boxes import COORDINATE_MAX, PICKS_MAX
from gateway.docs import openapi_admin, openapi_records, recipes
from gateway.docs import openapi_words as words
from gateway.docs.openapi_parts import REF, Json, error_answers, headers, json_answer, query_parameter, ref
from gateway.endpoints import ENDPOINTS
from gateway.params import SECOND_SIDES, TILES_MAX, DetectParams, MaskParams
from gateway.pictures.encode import OUTPUTS
from gateway.pictures.exif_tags import METADATA
from gateway.pictures.input_formats import INPUTS
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.overlays import OVERLAYS
from gateway.repeating import KEY_CHARACTERS_MAX, KEY_HEADER, REPLAYED_HEADER
from gateway.request_time import TIMEOUT_HEADER, TIMEOUT_MS_MAX
from gateway.routes.health import HealthResponse
from gateway.serialise import DetectResponse
from gateway.unknown_names import IGNORED_HEADER, IMAGE_FIELD, OVERLAY_FIELD
from shared.settings import Turns

#: Of the API, the same as in pyproject.toml.
VERSION = "0.1.0"

#: What a picture may be sent as, beside multipart.
RAW_TYPES = tuple(kind.media_type for kind in INPUTS.values())

#: A chapter without operations, as ReDoc shows it.
_RECIPES = {"name": "Recipes", "x-traitTag": True, "description": recipes.chapter()}
_RATE = ("RateLimit-Policy", "RateLimit")
_MASK_FACTS = ("X-Face-Count", "X-Inference-Ms", "X-Total-Ms", "X-Model", "X-Image-Width", "X-Image-Height")
_ALWAYS = ("X-Job-Id", "X-Job-Status", REPLAYED_HEADER, IGNORED_HEADER, "Server-Timing", *_RATE)
_KEPT = ("X-Image-Id", "X-Original-Id", "X-Image-Status")
_DETECT_HEADERS = ("X-Request-Id", "X-Looks", "X-Frames", *_KEPT, *_ALWAYS)
_MASK_HEADERS = (
    "X-Request-Id",
    *_MASK_FACTS,
    "X-Faces",
    "X-Looks",
    "X-Blur-Method",
    "X-Mask-Weak",
    "X-Mask-Colors",
    *_KEPT,
    *_ALWAYS,
)
_ERROR_HEADERS = {
    401: ("X-Request-Id", "WWW-Authenticate"),
    403: ("X-Request-Id",),
    404: ("X-Request-Id",),
    409: ("X-Request-Id", "Retry-After", *_RATE),
    415: ("X-Request-Id", "Accept-Encoding", *_RATE),
    429: ("X-Request-Id", "Retry-After", *_RATE),
    503: ("X-Request-Id", "Retry-After", *_RATE),
}


class ErrorResponse(msgspec.Struct, frozen=True):
    """The body of every error."""

    detail: str


class ReadyResponse(msgspec.Struct, frozen=True):
    """The body of /readyz and /livez."""

    status: str


def document() -> Json:
    """The whole document. The server is relative, so it holds behind any host name and path prefix."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "face-api",
            "version": VERSION,
            "description": words.ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": ".", "description": "This service"}],
        "tags": [*words.TAGS, openapi_records.TAG, openapi_admin.TAG, _RECIPES],
        "paths": {
            **{row.path: {row.method.lower(): _OPERATIONS[row.name]()} for row in ENDPOINTS if row.documented},
            **openapi_records.paths(),
            **openapi_admin.paths(),
        },
        "components": {
            "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            "headers": {name: _header(*facts) for name, facts in words.HEADERS.items()},
            "responses": {f"Error{status}": _error(status) for status in words.ERROR_DETAILS},
            "schemas": _schemas(),
        },
    }


def encoded() -> bytes:
    """The document as it is served."""
    return msgspec.json.encode(document())


def _detect() -> Json:
    ok = {
        "description": "The faces",
        "headers": headers(_DETECT_HEADERS),
        "content": {"application/json": {"schema": ref("DetectResponse"), "example": words.DETECT_EXAMPLE}},
    }
    return _picture_operation("detect", "Find faces", words.DETECT, DetectParams, ok)


def _mask() -> Json:
    methods = "\n".join(f"| `{name}` | {method.words} |" for name, method in METHODS.items())
    media_types = [output.media_type for output in OUTPUTS.values()]
    ok = {
        "description": "The masked picture",
        "headers": headers(_MASK_HEADERS),
        "content": {media_type: {"schema": _file(media_type)} for media_type in media_types},
    }
    return _picture_operation("mask", "Hide faces", words.MASK.format(methods=methods), MaskParams, ok)


def _picture_operation(name: str, summary: str, description: str, kind: type[msgspec.Struct], ok: Json) -> Json:
    return {
        "tags": ["Faces"],
        "operationId": name,
        "summary": summary,
        "description": description,
        "security": [{"ApiKey": []}],
        "parameters": [*_query_parameters(kind), _timeout_parameter(), _request_id_parameter(), _once_parameter()],
        "requestBody": _request_body(kind),
        "responses": {"200": ok, **error_answers(words.ERRORS)},
        "x-codeSamples": recipes.samples(name),
    }


def _health() -> Json:
    schema = ref("HealthResponse")
    degraded = words.HEALTH_EXAMPLE | {"status": "degraded", "model_loaded": False, "reason": "no worker is serving"}
    return {
        "tags": ["Health"],
        "operationId": "health",
        "summary": "How the service is",
        "description": words.HEALTH,
        "security": [],
        "responses": {
            "200": json_answer("Ready", schema, words.HEALTH_EXAMPLE),
            "503": json_answer("Not ready; `reason` says why", schema, degraded),
        },
        "x-codeSamples": recipes.samples("health"),
    }


def _probe(name: str, summary: str, status: str) -> Json:
    responses = {"200": json_answer("Yes", ref("ReadyResponse"), {"status": status})}
    if name == "readyz":
        responses["503"] = json_answer("No", ref("ErrorResponse"), {"detail": "not ready: no worker is serving"})
        responses["503"]["headers"] |= headers(["Retry-After"])
    return {
        "tags": ["Health"],
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": responses,
    }


#: By the endpoint's name; one that is to be documented and is not fails here.
_OPERATIONS: dict[str, Callable[[], Json]] = {
    "detect": _detect,
    "mask": _mask,
    "health": _health,
    "readyz": lambda: _probe("readyz", "Whether to send requests here", "ready"),
    "livez": lambda: _probe("livez", "Whether the process is alive", "alive"),
}


def _query_parameters(kind: type[msgspec.Struct]) -> list[Json]:
    """One per field of the struct, in its order, with its range and default."""
    (_, components) = msgspec.json.schema_components([kind], ref_template=REF)
    properties: dict[str, Json] = components[kind.__name__]["properties"]
    return [_parameter(name, dict(schema)) for name, schema in properties.items()]


def _parameter(name: str, schema: Json) -> Json:
    description = schema.pop("description")
    if schema.get("default", "") is None:
        schema = _OPTIONAL[name]
        description += ". Left out, the server's own setting holds"
    elif name in _ROWS:
        schema["enum"] = list(_ROWS[name])
    elif schema.get("type") == "array":
        schema = _json(schema)
    if "enum" in schema:
        schema.setdefault("type", "string")
    return query_parameter(name, schema, description)


def _json(schema: Json) -> Json:
    """A list that is sent as a text; `contentSchema` is what JSON Schema has for that."""
    number = {"type": "number", "minimum": -COORDINATE_MAX, "maximum": COORDINATE_MAX}
    corners = ("x1", "y1", "x2", "y2")
    kinds: list[Json] = [
        {"type": "array", "items": number, "minItems": len(corners), "maxItems": len(corners)},
        {"type": "object", "properties": dict.fromkeys(corners, number), "required": list(corners)},
    ]
    if "anyOf" in schema["items"]:
        kinds.insert(0, {"type": "integer", "minimum": 0})
    items = {"type": "array", "maxItems": PICKS_MAX, "items": {"anyOf": kinds}}
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": items}


#: Where the words of a parameter come from, in the order of these rows.
_ROWS: dict[str, Iterable[str]] = {"method": METHODS, "format": OUTPUTS, "overlay": OVERLAYS, "metadata": METADATA}
#: What a parameter may be that the server has a setting for.
_OPTIONAL: dict[str, Json] = {
    "second_side": {"type": "integer", "enum": list(SECOND_SIDES)},
    "turns": {"type": "string", "enum": list(get_args(Turns))},
    "tiles": {"type": "integer", "minimum": 0, "maximum": TILES_MAX},
    "thorough": {"type": "boolean"},
    "closer": {"anyOf": [{"type": "boolean"}, {"type": "string", "const": "tell"}]},
}


def _timeout_parameter() -> Json:
    return {
        "name": "-".join(word.capitalize() for word in TIMEOUT_HEADER.split("-")),
        "in": "header",
        "required": False,
        "description": "Milliseconds this request may take; can only shorten the server's own limit",
        "schema": {"type": "integer", "minimum": 1, "maximum": TIMEOUT_MS_MAX},
    }


def _request_id_parameter() -> Json:
    return {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "description": "A UUID of yours, to find this request again; for anything else a new one is made",
        "schema": {"type": "string"},
        "example": words.DETECT_EXAMPLE["request_id"],
    }


def _once_parameter() -> Json:
    return {
        "name": KEY_HEADER,
        "in": "header",
        "required": False,
        "description": words.ONCE,
        "schema": {"type": "string", "maxLength": KEY_CHARACTERS_MAX},
        "example": "order-4711-photo-2",
    }


def _request_body(kind: type[msgspec.Struct]) -> Json:
    picture = _file("application/octet-stream") | {"description": words.PICTURE}
    files = {IMAGE_FIELD: picture}
    if OVERLAY_FIELD in kind.__struct_fields__:
        files[OVERLAY_FIELD] = _file("application/octet-stream") | {"description": words.OVERLAY}
    form = {
        "schema": {"type": "object", "properties": files, "required": [IMAGE_FIELD]},
        "encoding": {IMAGE_FIELD: {"contentType": ", ".join([*RAW_TYPES, "application/octet-stream"])}},
    }
    raw = {media_type: {"schema": _file(media_type)} for media_type in RAW_TYPES}
    return {"required": True, "content": {"multipart/form-data": form, **raw}}


def _file(media_type: str) -> Json:
    """Binary content; `format` is for tools that know only OpenAPI 3.0."""
    return {"type": "string", "format": "binary", "contentMediaType": media_type}


def _error(status: int) -> Json:
    answer = json_answer(
        words.ERRORS.get(status, words.NO_SUCH), ref("ErrorResponse"), {"detail": words.ERROR_DETAILS[status]}
    )
    return answer | {"headers": headers(_ERROR_HEADERS.get(status, ("X-Request-Id", *_RATE)))}


def _header(kind: str, description: str, example: Any) -> Json:
    return {"description": description, "schema": {"type": kind}, "example": example}


def _schemas() -> Json:
    """The schemas of all JSON bodies by name, the same order in every process."""
    kinds = [
        DetectResponse,
        HealthResponse,
        ErrorResponse,
        ReadyResponse,
        *openapi_records.SCHEMAS,
        *openapi_admin.SCHEMAS,
    ]
    (_, components) = msgspec.json.schema_components(kinds, ref_template=REF)
    return {name: _described(name, schema) for name, schema in sorted(components.items())}


def _described(name: str, schema: Json) -> Json:
    """The schema with its fields' meanings and ranges; one of a field that does not exist is a bug."""
    meanings = (words.FIELDS | openapi_records.FIELDS | openapi_admin.FIELDS).get(name, {})
    ranges = openapi_admin.RANGES.get(name, {})
    assert meanings.keys() | ranges.keys() <= schema["properties"].keys(), (name, sorted(meanings))
    described = {
        each: _plain(field) | ranges.get(each, {}) | ({"description": meanings[each]} if each in meanings else {})
        for each, field in schema["properties"].items()
    }
    return {**schema, "properties": described}


def _plain(field: Json) -> Json:
    """A pair of alike values as an array of two: tools made for OpenAPI 3.0 do not know `prefixItems`."""
    if "prefixItems" not in field:
        return field
    kinds = field["prefixItems"]
    assert all(kind == kinds[0] for kind in kinds), field
    return {name: value for name, value in field.items() if name != "prefixItems"} | {"items": kinds[0]}


def main() -> int:
    """Prints the document, indented."""
    sys.stdout.write(msgspec.json.format(encoded(), indent=2).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
