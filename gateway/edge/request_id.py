"""The id of a request: the caller's own when it is a UUID, else a new one. Pure but for chance."""

from __future__ import annotations

import uuid

from gateway.record import HeaderPairs

HEADER = b"x-request-id"


def request_id_of(headers: HeaderPairs) -> str:
    """The caller's own id when it is a UUID, else a new one."""
    for name, value in headers:
        if name == HEADER and len(value) == 36:
            try:
                return str(uuid.UUID(value.decode("ascii")))
            except ValueError:
                break
    return str(uuid.uuid4())
