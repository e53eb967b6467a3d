"""One file sent to a running server as a browser sends it, and what came back. Alone knows the replay's HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Endpoint = Literal["detect", "mask"]
ENDPOINTS: tuple[Endpoint, ...] = ("detect", "mask")
#: What any file may be answered: a picture or faces, or a refusal in words.
EXPECTED = frozenset({200, 400, 413, 415, 422, 429, 503})
BOUNDARY = "face-api-replay-7c31cdaf592c4342"
ANSWER_S_MAX = 120.0
#: How often a request that was limited is sent again after the time it was told.
PATIENCE = 5


@dataclass(frozen=True, slots=True)
class Sent:
    """One answer. status: 0 when none came. words: of a refusal, or what is wrong. seconds: until it was read."""

    name: str
    endpoint: Endpoint
    size: int
    status: int
    seconds: float
    words: str = ""
    odd: bool = False


class Sender:
    """One keep-alive connection. limited: how often it was answered 429 and waited."""

    def __init__(self, url: str, key: str = "") -> None:
        parts = urlsplit(url)
        assert parts.hostname, url
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=ANSWER_S_MAX)
        self._prefix, self._key = parts.path.rstrip("/"), key
        self.limited = 0

    def send(self, endpoint: Endpoint, name: str, file_name: bytes, data: bytes) -> Sent:
        """To detect as a form with the file's own name, to mask as the whole body."""
        if endpoint == "detect":
            body, kind = _form(file_name, data), f"multipart/form-data; boundary={BOUNDARY}"
        else:
            body, kind = data, "image/jpeg"
        for _ in range(PATIENCE):
            began = time.monotonic()
            status, headers, answer = self._ask(endpoint, body, kind)
            seconds = time.monotonic() - began
            if status != 429:
                break
            self.limited += 1
            time.sleep(float(headers.get("Retry-After", "1")))
        words, odd = _words(endpoint, status, headers, answer)
        return Sent(name, endpoint, len(data), status, seconds, words, odd)

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """(status, body); status 0 when there is no answer."""
        try:
            self._connection.request("GET", self._prefix + path, headers=headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return 0, repr(error).encode()

    def _ask(self, endpoint: Endpoint, body: bytes, kind: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Once more where an idle connection was closed: that is nobody's loss."""
        reused = self._connection.sock is not None
        try:
            return self._ask_once(endpoint, body, kind)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if not reused or isinstance(error, TimeoutError):
                return 0, http.client.HTTPMessage(), repr(error).encode()
        return self._ask(endpoint, body, kind)

    def _ask_once(self, endpoint: Endpoint, body: bytes, kind: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        if self._connection.sock is None:
            self._connection.connect()
        headers = {"Content-Type": kind} | ({"X-API-Key": self._key} if self._key else {})
        # Refused while it still sends: the answer may be there although the rest found nobody.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.request("POST", f"{self._prefix}/api/v1/{endpoint}", body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.headers, answer.read()


def _form(file_name: bytes, data: bytes) -> bytes:
    """One field with a file, its name escaped as browsers do: HTML Standard, multipart/form-data encoding algorithm."""
    for byte, escaped in ((b'"', b"%22"), (b"\r", b"%0D"), (b"\n", b"%0A")):
        file_name = file_name.replace(byte, escaped)
    about = b'Content-Disposition: form-data; name="image"; filename="%s"\r\nContent-Type: application/octet-stream'
    edge = b"--" + BOUNDARY.encode()
    return edge + b"\r\n" + about % file_name + b"\r\n\r\n" + data + b"\r\n" + edge + b"--\r\n"


def _words(endpoint: Endpoint, status: int, headers: http.client.HTTPMessage, body: bytes) -> tuple[str, bool]:
    """(what a refusal says or what is wrong, whether anything is wrong with this answer)."""
    kind = headers.get("Content-Type", "")
    if status == 0:
        return f"no answer: {body.decode(errors='replace')}", True
    if status == 200:
        right = kind.startswith("image/") if endpoint == "mask" else kind == "application/json"
        return ("", False) if right and body else (f"200 with {len(body)} bytes of {kind or 'nothing'}", True)
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, TypeError, KeyError):
        detail = None
    if not isinstance(detail, str) or not detail:
        return f"{status} without words: {body[:80]!r}", True
    return detail, status not in EXPECTED
