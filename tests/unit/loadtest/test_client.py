"""The load generator loses no request by its own doing."""

from __future__ import annotations

import socket
import time
from threading import Thread

from loadtest.client import Load, open_loop
from loadtest.questions import Question

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def _serve(listening: socket.socket) -> None:
    """Answers one request of each connection, says that it was the last, and closes a moment later, as balancers do."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            if connection.recv(1000):
                connection.sendall(LAST)
                time.sleep(0.02)


def test_a_connection_that_the_server_will_close_gets_no_further_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=_serve, args=(listening,))
        thread.start()
        load = Load(listening.getsockname(), [Question(REQUEST, 0)])
        open_loop(load, [number / 100 for number in range(30)], 0.0)
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert load.tally.statuses == {"200": 30}
