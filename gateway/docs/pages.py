"""GET /, /try, /docs, /redoc, /openapi.json and what those pages load: all from memory, nothing from other hosts.

Alone knows the pages' Content-Security-Policy and how long browsers may keep each file.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.docs import openapi

ASSETS = Path(__file__).resolve().parent / "assets"
ASSETS_URL = "/docs-assets"

#: Served from `ASSETS` under their names without `.gz`; licences and the list stay in the repository.
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    # Recipes, shown and copied.
    ".sh": "text/plain; charset=utf-8",
    ".py": "text/plain; charset=utf-8",
    ".mjs": "text/plain; charset=utf-8",
    ".cs": "text/plain; charset=utf-8",
}

#: The name of a vendored folder holds its version, so what lies there never changes.
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

_SAME_FOR_ALL = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: ReDoc 2.5.4 adds empty style elements, filled by script, and one with its scroll bars: their hashes.
_REDOC_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)

POLICIES = {
    "home": f"{_SAME_FOR_ALL}; style-src 'self'; img-src 'self'",
    # The picture that was chosen, and the one that was answered.
    "try": f"{_SAME_FOR_ALL}; style-src 'self'; img-src 'self' blob:",
    # Swagger UI shows answered pictures as blob: and draws its icons from data: addresses.
    "docs": f"{_SAME_FOR_ALL}; style-src 'self'; img-src 'self' data: blob:",
    # ReDoc searches in a worker made from a blob.
    "redoc": f"{_SAME_FOR_ALL}; style-src 'self' {_REDOC_STYLES}; img-src 'self' data:; worker-src blob:",
}

#: The pages beside the first one.
_PAGES = ("try", "docs", "redoc")
_CONSOLE_LINK = re.compile(r"<!-- console -->.*<!-- /console -->\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Document:
    """One thing to serve: `packed` is its bytes after gzip, `etag` tells its content."""

    packed: bytes
    etag: str
    media_type: str
    cache: str = _ASK_AGAIN
    policy: str = ""


def docs_routes(*, console: bool) -> list[Route]:
    """The routes of the documentation. `console`: whether the first page links to /console."""
    home = (ASSETS / "pages/home.html").read_text(encoding="utf-8")
    pages = {
        "/": _page("home", home if console else _CONSOLE_LINK.sub("", home)),
        **{f"/{name}": _page(name, (ASSETS / f"pages/{name}.html").read_text(encoding="utf-8")) for name in _PAGES},
        "/openapi.json": _packed(openapi.encoded(), "application/json"),
    }
    served = {**pages, **dict(_assets())}
    return [Route(path, _endpoint(document), methods=["GET"]) for path, document in served.items()]


def answer(document: Document, accept_encoding: str, if_none_match: str) -> Response:
    """The response for a request with these headers ("" where there is none)."""
    headers = {"ETag": document.etag, "Cache-Control": document.cache, "Vary": "Accept-Encoding"}
    headers["X-Content-Type-Options"] = "nosniff"
    if document.policy:
        headers["Content-Security-Policy"] = document.policy
        headers["Referrer-Policy"] = "no-referrer"
    if _matches(if_none_match, document.etag):
        return Response(status_code=304, headers=headers)
    if _takes_gzip(accept_encoding):
        headers["Content-Encoding"] = "gzip"
        return Response(document.packed, headers=headers, media_type=document.media_type)
    return Response(gzip.decompress(document.packed), headers=headers, media_type=document.media_type)


def _endpoint(document: Document) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        headers = request.headers
        return answer(document, headers.get("accept-encoding", ""), headers.get("if-none-match", ""))

    return endpoint


def _page(name: str, html: str) -> Document:
    return _packed(html.encode(), "text/html; charset=utf-8", policy=POLICIES[name])


def _packed(data: bytes, media_type: str, policy: str = "") -> Document:
    return Document(gzip.compress(data, mtime=0), _etag(data), media_type, policy=policy)


def _assets() -> Iterator[tuple[str, Document]]:
    """Address and document of every file the pages load."""
    for path in sorted(ASSETS.glob("*/*")):
        name = path.name.removesuffix(".gz")
        media_type = MEDIA_TYPES.get(Path(name).suffix)
        if media_type is None:
            continue
        address = f"{ASSETS_URL}/{path.parent.name}/{name}"
        data = path.read_bytes()
        if path.suffix == ".gz":
            yield address, Document(data, _etag(data), media_type, _FOR_EVER)
        else:
            yield address, _packed(data, media_type)


def _etag(data: bytes) -> str:
    """Weak, since the same content goes out packed and plain."""
    return f'W/"{hashlib.sha256(data).hexdigest()[:32]}"'


def _matches(if_none_match: str, etag: str) -> bool:
    known = [tag.strip() for tag in if_none_match.split(",")]
    return "*" in known or etag in known or etag.removeprefix("W/") in known


def _takes_gzip(accept_encoding: str) -> bool:
    """Whether the header names gzip (or anything) without refusing it by q=0."""
    for choice in accept_encoding.lower().split(","):
        name, _, quality = choice.partition(";")
        if name.strip() in ("gzip", "*"):
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", quality) is None
    return False
