"""The recipes in C# as bytes: what .NET's HttpClient and MultipartFormDataContent put on the wire for each is answered.

Its boundary stands in quotes, names of fields and files stand in none, `filename*` follows, and the part names no type.
"""

from __future__ import annotations

import base64
import re
import socket
from http.client import HTTPResponse
from urllib.parse import quote, urlsplit

import httpx2
import pytest

from gateway.docs.recipes import TOPICS, text
from tests.contract.test_http import PICTURE
from tests.service import Service

BOUNDARY = "b2ffb4b1-2d51-4f36-a8a5-3e9f5f0d7c1e"
POSTING = [name for name in ("detect", "mask", *TOPICS) if "PostAsync" in text(name, "cs")]
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def file_name(name: str) -> str:
    """As ContentDispositionHeaderValue writes it: bare where it is a token, else in quotes; what is not ASCII in Base64."""
    if not name.isascii():
        return f'"=?utf-8?B?{base64.b64encode(name.encode()).decode()}?="'
    return name if TOKEN.fullmatch(name) else f'"{name}"'


def sent(url: str, name: str) -> bytes:
    """The whole request, HttpClient's headers in HttpClient's order."""
    place = urlsplit(url)
    disposition = f"form-data; name=image; filename={file_name(name)}; filename*=utf-8''{quote(name, safe='')}"
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n"
    body = head.encode() + PICTURE + f"\r\n--{BOUNDARY}--\r\n".encode()
    lines = [
        f"POST {place.path}?{place.query} HTTP/1.1",
        f"Host: {place.netloc}",
        "X-API-Key: xyl_your_api_key_here",
        f'Content-Type: multipart/form-data; boundary="{BOUNDARY}"',
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer(service: Service, request: bytes) -> HTTPResponse:
    place = urlsplit(service.url)
    with socket.create_connection((str(place.hostname), place.port or 80), timeout=60) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection, method="POST")
        response.begin()
        response.read()
    return response


@pytest.mark.parametrize("name", POSTING)
def test_what_a_recipe_sends_is_answered_as_any_other_form(service: Service, client: httpx2.Client, name: str) -> None:
    recipe = text(name, "cs")
    (url,) = re.findall(r'"http://127\.0\.0\.1:8000([^"]+)"', recipe)
    (file,) = re.findall(r'"image", "([^"]+)"\);', recipe)
    response = answer(service, sent(service.url + url, file))
    assert response.status == 200
    if "/mask" in url:
        as_others = client.post(url, files={"image": PICTURE})
        assert int(response.headers["X-Face-Count"]) == int(as_others.headers["X-Face-Count"]) > 0


def test_every_recipe_but_health_sends_a_picture() -> None:
    assert {*POSTING} == {"detect", "mask", *TOPICS}


@pytest.mark.parametrize("file", ["photo.jpg", "my photo.jpg", "größe.jpg", "写真 1.jpg"])
def test_file_names_of_every_kind_are_taken(service: Service, file: str) -> None:
    assert answer(service, sent(f"{service.url}/api/v1/mask?method=solid", file)).status == 200
