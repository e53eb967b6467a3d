"""A file server on the loopback address that can be told to misbehave, for tests of downloading."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """files: by path. cut_after: bytes after which the connection ends, one entry per request until used up.

    ranges: whether Range is honoured. announces_length: whether Content-Length is sent. refuses: statuses to
    answer instead, one per request until used up. redirects: path → path. asked: (path, Range) of each request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    refuses: list[int] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    announces_length: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""

    def url(self, path: str) -> str:
        return self.address + path


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        behaviour, asked = self.behaviour, self.headers.get("Range", "")
        behaviour.asked.append((self.path, asked))
        if behaviour.refuses:
            self.send_error(behaviour.refuses.pop(0))
        elif self.path in behaviour.redirects:
            self.send_response(302)
            self.send_header("Location", behaviour.redirects[self.path])
            self.end_headers()
        elif self.path not in behaviour.files:
            self.send_error(404)
        else:
            self._send(behaviour.files[self.path], asked if behaviour.ranges else "")

    def _send(self, data: bytes, asked: str) -> None:
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if asked and start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.behaviour.announces_length:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        self.wfile.write(body[: self.behaviour.cut_after.pop(0)] if self.behaviour.cut_after else body)

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that stops reading is what some tests are about."""


@contextmanager
def file_server() -> Iterator[Behaviour]:
    """Serves until the block ends."""
    behaviour = Behaviour()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    server = _Server(("127.0.0.1", 0), handler)
    behaviour.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield behaviour
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
