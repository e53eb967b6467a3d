"""A server that answers as its script says, one picture after another; for everything a service can do to a client."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: (status, headers, body); None breaks the connection off.
Answer = tuple[int, dict[str, str], bytes] | None


@dataclass
class Asked:
    """One request: its path with the query, headers in lower case, and body."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """answer: what each request gets, called under a lock. asked: every request so far, in order."""

    answer: Callable[[Asked], Answer]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextlib.contextmanager
def scripted(answer: Callable[[Asked], Answer]) -> Iterator[Scripted]:
    """A server on a free port, gone at the end."""
    state = Scripted(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, _body(self))
            with state.lock:
                state.asked.append(asked)
                given = state.answer(asked)
            if given is None:
                self.close_connection = True
                self.connection.close()
                return
            status, headers, body = given
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - the handler's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    """None, of a known length, or in chunks."""
    if not {"Content-Length", "Transfer-Encoding"} & {*handler.headers}:
        return b""
    if "Content-Length" in handler.headers:
        return handler.rfile.read(int(handler.headers["Content-Length"]))
    body = b""
    while size := int(handler.rfile.readline() or b"0", 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def refusal(status: int, detail: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (
        status,
        {"Content-Type": "application/json", "X-Request-Id": "r-1", **named},
        json.dumps({"detail": detail}).encode(),
    )


def masked(picture: bytes, faces: int = 1) -> Answer:
    """As mask answers; the file tells which picture it is of."""
    headers = {
        "Content-Type": "image/jpeg",
        "X-Request-Id": "r-1",
        "X-Face-Count": str(faces),
        "X-Image-Width": "640",
        "X-Image-Height": "480",
        "X-Model": "beacon",
    }
    return 200, headers, b"masked " + picture


def detected(faces: int = 1) -> Answer:
    face = {
        "index": 0,
        "bbox": {"x1": 1.0, "y1": 2.0, "x2": 31.0, "y2": 42.0},
        "confidence": 0.9,
        "landmarks": {
            name: {"x": 5.0, "y": 6.0} for name in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
        },
    }
    body = {
        "request_id": "r-1",
        "image": {"width": 640, "height": 480},
        "processing": {"model": "beacon"},
        "detections": [{**face, "index": index} for index in range(faces)],
    }
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def picture_in(asked: Asked) -> bytes:
    """The one part of a form."""
    boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
    head, _, rest = asked.body.partition(b"\r\n\r\n")
    assert b'name="image"' in head
    return rest.rpartition(b"\r\n--" + boundary)[0]
