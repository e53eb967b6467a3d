"""A JSON object in a request's body, read into a struct; what is wrong is told by field, in our words. Pure."""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

import msgspec

from gateway.stores.key_format import redact
from gateway.unknown_names import shown
from shared.errors import BadParameter

Body = TypeVar("Body", bound=msgspec.Struct)

#: What a field takes, by its type.
_TAKES: dict[Any, str] = {
    str: "text",
    str | None: "text, or null",
    int | None: "a whole number, or null",
    str | int: 'a duration such as "24h", or a number of seconds',
    str | int | None: 'a duration such as "90d", a number of seconds, or null',
    tuple[str, ...]: "a list of texts",
}


def read_json(data: bytes, kind: type[Body]) -> Body:
    """The object as the struct. BadParameter names the field and what it takes."""
    given = _object(data)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in given:
        if name not in fields:
            raise BadParameter(_unknown(name, list(fields)))
    for name, field in fields.items():
        if name in given:
            given[name] = _converted(name, given[name], field.type)
        elif field.required:
            raise BadParameter(f"{name} is missing; it is {_TAKES[field.type]}")
    return kind(**given)


def _object(data: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadParameter("The body is not JSON; send an object with the fields, in UTF-8") from None
    if not isinstance(given, dict):
        raise BadParameter("The body is JSON but no object; send an object with the fields")
    return given


def _converted(name: str, value: Any, wanted: Any) -> Any:
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        raise BadParameter(f"{name}: must be {_TAKES[wanted]}") from None


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name[:64], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"unknown field {shown(redact(name))}{hint} Known: {', '.join(known)}"
