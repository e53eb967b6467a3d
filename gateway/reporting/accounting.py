"""What a detect or mask request counts as: endpoint, status, time, faces, key.

It reads what the layers below left in the request's state (`principal`, `faces`) and tells the counters. What the
request ended in is told to it: by `gateway/edge/request_context.py`, which tells log and metrics the same.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.types import Scope

from gateway.access.door import ANONYMOUS

ENDPOINTS = {"/api/v1/detect": "detect", "/api/v1/mask": "mask"}


def account(parts: Any, scope: Scope, status: int, milliseconds: float) -> None:
    """Of one request that has ended; others than detect and mask are not counted."""
    endpoint = ENDPOINTS.get(scope["path"]) if scope["method"] == "POST" else None
    if endpoint is None:
        return
    state = scope["state"]
    parts.counters.answered(endpoint, status, milliseconds, state.get("faces", 0) if status < 400 else 0)
    principal = state.get("principal")
    if principal is not None and principal.key_id != ANONYMOUS:
        parts.gathering.note(principal.key_id, time.time(), error=status >= 400)
