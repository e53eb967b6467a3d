"""Whole HTTP requests as bytes, built before the clock runs. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BOUNDARY = b"face-api-loadtest"


@dataclass(frozen=True, slots=True)
class Question:
    """A whole request as bytes, and the faces its answer must have (-1: unknown)."""

    request: bytes
    faces: int


def questions(folder: Path, target: str, host: str, body: str, faces: list[int], headers: list[str]) -> list[Question]:
    """One prebuilt request per file of a folder."""
    files = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    counts = faces or [-1] * len(files)
    more = "".join(f"{line}\r\n" for line in headers)
    return [
        Question(_request(data, target, host, body, more), count) for data, count in zip(files, counts, strict=True)
    ]


def _request(data: bytes, target: str, host: str, body: str, more: str) -> bytes:
    kind = "image/jpeg"
    if body == "multipart":
        kind = f"multipart/form-data; boundary={BOUNDARY.decode()}"
        about = b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg'
        data = b"--%s\r\n%s\r\n\r\n" % (BOUNDARY, about) + data + b"\r\n--%s--\r\n" % BOUNDARY
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{more}\r\n"
    )
    return head.encode() + data
