"""Where the service is, and the key for it: the client's only reader of the environment."""

from __future__ import annotations

import os

#: Where `make run` serves.
DEFAULT_URL = "http://127.0.0.1:8000"


def place(url: str | None, key: str | None) -> tuple[str, dict[str, str]]:
    """Address and headers; what is not said is looked for in FACE_API_URL and FACE_API_KEY."""
    url = url or os.environ.get("FACE_API_URL") or DEFAULT_URL
    key = key or os.environ.get("FACE_API_KEY")
    return url.rstrip("/"), {"X-API-Key": key} if key else {}
