"""Whether a request that changes something comes from the console's own pages. Pure.

OWASP CSRF sheet and Go's CrossOriginProtection: Sec-Fetch-Site first, else Origin against Host; neither: refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_own(method: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """True for safe methods, and for others that our own page sent."""
    if method in SAFE_METHODS:
        return True
    found = {name: value for name, value in headers if name in _LOOKED_AT}
    site = found.get(b"sec-fetch-site")
    if site is not None:
        return site == b"same-origin"
    # Browsers leave Sec-Fetch-Site out over plain HTTP to other hosts than localhost; Origin they send.
    origin, host = found.get(b"origin"), found.get(b"host")
    if origin is None or not host:
        return False
    try:
        return urlsplit(origin.decode("ascii")).netloc.lower() == host.decode("ascii").lower()
    except (UnicodeDecodeError, ValueError):
        return False


_LOOKED_AT = frozenset((b"sec-fetch-site", b"origin", b"host"))
