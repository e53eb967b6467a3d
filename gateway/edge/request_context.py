"""The outermost layer of every request: its id, its trace and its clock. Pure ASGI; knows headers, not endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.edge.books import Books
from gateway.edge.request_id import HEADER, request_id_of
from gateway.record import record_of
from gateway.timings import DatedTimings
from gateway.trace_context import ANSWER_HEADER, trace_of

#: What a client gets that is not there any more; seen in logs and metrics only.
CLIENT_CLOSED_REQUEST = 499


class RequestContext:
    """Begins the request's record and puts X-Request-Id on every response, and traceresponse where a trace was named.

    books_of: those of the application that was opened; one that was not keeps none. traced: how many of the requests
    that come without a trace begin one; None where traces go nowhere.
    Every request ends here: with one line in the log, counted, and quietly when its client left.
    """

    def __init__(self, app: ASGIApp, books_of: Callable[[Scope], Books | None], traced: float | None = None) -> None:
        self._app, self._books_of, self._traced = app, books_of, traced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        record = record_of(scope)
        record.request_id = request_id
        headers, books = [(HEADER, request_id.encode())], self._books_of(scope)
        trace = record.trace = trace_of(scope["headers"], self._traced or 0.0)
        if trace is not None:
            headers += [(ANSWER_HEADER, trace.told.encode())] * trace.asked
            if self._traced is not None and trace.sampled:
                record.timings = DatedTimings(record.timings)
        sent: int | None = None
        failure: BaseException | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                sent = message["status"]
                message["headers"] = [*message.get("headers", []), *headers]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect as error:
            failure = error
        except BaseException as error:
            failure = error
            raise
        finally:
            status = status_of(sent, failure, record.answered_for_it)
            # What was sent leaves only when the event loop gets its turn: the client does not wait for our books.
            if books is not None:
                asyncio.get_running_loop().call_soon(books.close, scope, record, status, record.timings.total_ms())


def status_of(sent: int | None, failure: BaseException | None, answered_for_it: int | None) -> int:
    """What a request ended in, for everything that is told or counted of it. Pure.

    sent: the status of the answer that was begun. answered_for_it: of the one that the connection gave in its place.
    A failure is a bug of ours (500, sent or not) unless the client left.
    """
    if isinstance(failure, ClientDisconnect):
        return answered_for_it or CLIENT_CLOSED_REQUEST
    return 500 if failure is not None or sent is None else sent
