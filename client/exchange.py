"""From a picture and parameters to a request, and from a response to an answer or an error: no sending here."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import httpx2

from client import answers
from client.errors import Busy, KeyRefused, Refused

#: A file's bytes, its path, or an open binary file that can be sent from its start.
Picture: TypeAlias = bytes | str | Path | BinaryIO
Parameter: TypeAlias = str | float | bool
BUSY = frozenset({429, 502, 503, 504})


@contextlib.contextmanager
def as_part(picture: Picture) -> Iterator[dict[str, Any]]:
    """The form part of a picture. Files are sent as they are read; their names stay here.

    Raises OSError when the file cannot be opened.
    """
    if isinstance(picture, bytes):
        yield {"image": ("image", picture)}
    elif isinstance(picture, str | Path):
        with Path(picture).open("rb") as file:
            yield {"image": ("image", file)}
    else:
        picture.seek(0)
        yield {"image": ("image", picture)}


def as_query(parameters: Mapping[str, Parameter | None]) -> dict[str, str]:
    """Parameters as the service reads them; None leaves one out."""
    return {name: _text(value) for name, value in parameters.items() if value is not None}


def _text(value: Parameter) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def detections(response: httpx2.Response) -> answers.Detections:
    """Raises Refused or one of its kinds."""
    _raise_refusal(response)
    with _understood(response):
        return answers.detections(response.json())


def masked(response: httpx2.Response) -> answers.Masked:
    """Raises Refused or one of its kinds."""
    _raise_refusal(response)
    with _understood(response):
        return answers.masked(dict(response.headers), response.content)


def health(response: httpx2.Response) -> answers.Health:
    """Raises Refused when it is no health that is answered."""
    with _understood(response):
        return answers.health(response.json(), ready=response.status_code == 200)


@contextlib.contextmanager
def _understood(response: httpx2.Response) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError):
        raise Refused(
            response.status_code, f"{response.url.host} answers, but not as a face-api; is the address right?"
        ) from None


def _raise_refusal(response: httpx2.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    detail, request_id = _detail(response), response.headers.get("x-request-id", "")
    if status in BUSY:
        raise Busy(status, detail, request_id, _seconds(response.headers.get("retry-after")))
    raise (KeyRefused if status in {401, 403} else Refused)(status, detail, request_id)


def _detail(response: httpx2.Response) -> str:
    """Its words, or the status in words when something between answered."""
    with contextlib.suppress(json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return str(response.json()["detail"])
    return f"{response.status_code} {response.reason_phrase}".strip()


def _seconds(text: str | None) -> float | None:
    """Retry-After in seconds; None where it is missing or a date, which the service never sends."""
    with contextlib.suppress(ValueError):
        value = float(text or "")
        if math.isfinite(value) and value >= 0:
            return value
    return None
