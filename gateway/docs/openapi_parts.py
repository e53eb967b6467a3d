"""What every part of the OpenAPI document is put together from: references, headers, JSON answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

REF = "#/components/schemas/{name}"


def ref(name: str) -> Json:
    """A schema by its name."""
    return {"$ref": REF.format(name=name)}


def headers(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def json_answer(description: str, schema: Json, example: Json) -> Json:
    """A response with a JSON body, and its id."""
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": description, "headers": headers(["X-Request-Id"]), "content": content}


def query_parameter(name: str, schema: Json, description: str) -> Json:
    """An optional one; empty is the same as left out."""
    return {
        "name": name, "in": "query", "required": False, "allowEmptyValue": True, "description": description,
        "schema": schema,
    }  # fmt: skip


def error_answers(statuses: Iterable[int]) -> Json:
    return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in statuses}
