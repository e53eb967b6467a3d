"""The gunicorn worker class: uvicorn on uvloop and httptools, without what we do not use."""

from __future__ import annotations

from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class GatewayWorker(UvicornWorker):  # type: ignore[misc]
    """Named in deploy/gunicorn.conf.py."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "lifespan": "on",
        "server_header": False,
        "access_log": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": 30,
    }
