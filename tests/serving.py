"""An application served in a thread of this process, for browsers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from tests.waiting import WAIT_S_MAX, wait_until


@contextlib.contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Its URL, without a slash at the end."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(WAIT_S_MAX)
