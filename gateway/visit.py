"""What detect and mask have in common: from the door to the faces, and out again whatever happens.

    access → admission → body → parameters → picture → faces → answer

Each step may refuse; every step behind it then never happens, and what was taken is given back.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from gateway.access.charging import is_charged
from gateway.admission.fare import fare_of
from gateway.dispatching.detection import Question, detect_picture
from gateway.dispatching.dispatch import Detection
from gateway.edge.conversation import Patience
from gateway.form_parts import Upload
from gateway.looking import Endpoint, looking
from gateway.params import Params, parse_params
from gateway.pictures.image_header import check_limits, read_header
from gateway.pictures.picture import Picture
from gateway.services import Services
from gateway.timings import Timings
from gateway.unknown_names import IGNORED_HEADER, ignored_names
from gateway.upload import check_head, read_upload
from shared import numerals
from shared.deadline import Deadline
from shared.errors import BadParameter, DeadlineExceeded, ReceiveTimeout, Unavailable

#: How often the picture was looked at.
LOOKS_HEADER = "X-Looks"
#: A caller may shorten its own time, in milliseconds.
TIMEOUT_HEADER = "x-request-timeout-ms"
TIMEOUT_MS_MAX = 600_000


@dataclass(frozen=True, slots=True)
class Visit(Generic[Params]):
    """One request that has its faces. The picture is open until the answer is made."""

    request_id: str
    services: Services
    timings: Timings
    params: Params
    picture: Picture
    detection: Detection
    deadline: Deadline


Answer = Callable[[Visit[Params]], Awaitable[Response]]


async def visit(request: Request, endpoint: Endpoint, kind: type[Params], answer: Answer[Params]) -> Response:
    """The whole of a detect or mask request; `answer` makes the response from the faces."""
    state: dict[str, Any] = request.scope["state"]
    services: Services = state["services"]
    timings: Timings = state["timings"]
    now = asyncio.get_running_loop().time
    own = Deadline.after(asked_s(request.headers.getlist(TIMEOUT_HEADER)), now())
    longest = Deadline.after(services.settings.request_timeout, now())
    entry = await services.door.enter(request.scope, endpoint)
    timings.lap("auth")
    try:
        check_head(request.scope["headers"], services.settings.max_image_bytes)
        with services.admission.enter(_declared_bytes(request, services), entry.client, _left_s(min(own, longest))):
            upload, deadline = await _receive(request, services, own)
            longest = Deadline.after(services.settings.request_timeout, now())
            timings.lap("read")
            query = request.query_params.multi_items()
            params = parse_params(kind, query, upload.fields)
            ignored = ignored_names(kind.__struct_fields__, query, upload.fields)
            looking = _look(state, endpoint, params, upload.image, deadline, answer, entry.client)
            response = await _in_time(state, looking, deadline)
    except Unavailable as error:
        if not is_charged(error, own, longest, now()):
            await entry.refund()
        raise
    response.raw_headers.extend(entry.headers)
    if ignored:
        response.headers[IGNORED_HEADER] = ignored
    response.headers["Server-Timing"] = timings.server_timing()
    return response


async def _look(
    state: dict[str, Any],
    endpoint: Endpoint,
    params: Params,
    image: bytearray,
    deadline: Deadline,
    answer: Answer[Params],
    client: str,
) -> Response:
    """Waits its turn, then opens the picture and makes the answer."""
    services: Services = state["services"]
    header = read_header(memoryview(image))
    check_limits(header, services.settings)  # a refusal waits for nobody
    looks = looking(endpoint, params, services.settings)
    passes = looks.passes(header)
    fare = fare_of(header, client, services.admission.model_interval_s() * passes, passes)
    services.admission.check_again(services.turnstile.waiting, _left_s(deadline), passes)
    async with services.turnstile.turn(fare, deadline):
        state["timings"].lap("queue")
        picture = await services.pictures.open(
            image, sides=looks.sides, deadline=deadline, single_frame=endpoint == "mask", header=header,
            tiles=looks.tiles,
        )  # fmt: skip
        try:
            response = await _answer_from(state, picture, params, looks.question, deadline, answer)
        finally:
            picture.close()
    services.admission.answered(asyncio.get_running_loop().time())
    return response


async def _answer_from(
    state: dict[str, Any],
    picture: Picture,
    params: Params,
    question: Question,
    deadline: Deadline,
    answer: Answer[Params],
) -> Response:
    services: Services = state["services"]
    timings: Timings = state["timings"]
    timings.add("decode", picture.decode_ms)
    timings.add("preprocess", picture.preprocess_ms)
    detection = await detect_picture(services.dispatcher, picture, question, deadline)
    services.metrics.batch(detection.batch_size, detection.dispatch)
    state["faces"] = len(detection.faces)
    timings.add("queue", detection.queue_ms)
    timings.add("inference", detection.inference_ms)
    timings.add("postprocess", detection.postprocess_ms)
    timings.skip()
    response = await answer(Visit(state["request_id"], services, timings, params, picture, detection, deadline))
    response.headers[LOOKS_HEADER] = detection.looks.told()
    return response


def _left_s(deadline: Deadline) -> float:
    return deadline.left_s(asyncio.get_running_loop().time())


def asked_s(sent: list[str]) -> float:
    """What the caller gives the whole request, in seconds: X-Request-Timeout-Ms, infinite for none. BadParameter."""
    given = {numerals.whole(text) for text in sent if numerals.stripped(text)}
    if not given:
        return math.inf
    milliseconds = given.pop()
    if given or milliseconds is None or not 1 <= milliseconds <= TIMEOUT_MS_MAX:
        raise BadParameter(f"X-Request-Timeout-Ms must be whole milliseconds from 1 to {TIMEOUT_MS_MAX}, sent once")
    return milliseconds / 1000


def _declared_bytes(request: Request, services: Services) -> int:
    declared = numerals.count(request.headers.get("content-length", ""))
    return services.settings.max_image_bytes if declared is None else declared


async def _receive(request: Request, services: Services, own: Deadline) -> tuple[Upload, Deadline]:
    """The whole body, and the request's deadline from here on: our time for it begins when all of it is here.

    own: the caller's own limit, body included. Whether a slow body goes on arriving fast enough is the connection's
    business; here it has in all what the least rate allows a body of its size.
    """
    settings, loop = services.settings, asyncio.get_running_loop()
    slowest_s = Patience.of(settings).slowest_upload_s(_declared_bytes(request, services))
    until = min(own.at, loop.time() + max(settings.request_timeout, slowest_s))
    content_type = request.headers.get("content-type", "").encode("latin-1")
    try:
        async with asyncio.timeout_at(until):
            upload = await read_upload(content_type, _body(request.receive), settings.max_image_bytes)
    except TimeoutError:
        raise ReceiveTimeout("the body did not arrive in time; check the connection and try again") from None
    return upload, min(own, Deadline.after(settings.request_timeout, loop.time()))


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if chunk := message.get("body", b""):
            yield chunk
        more = message.get("more_body", False)


async def _in_time(state: dict[str, Any], looking: Awaitable[Response], deadline: Deadline) -> Response:
    """The answer, unless the client hangs up first or its time is over: then everything for it stops at once."""
    services: Services = state["services"]
    work, over = asyncio.current_task(), False
    assert work is not None

    def stop(_: object) -> None:
        if not over:
            work.cancel()

    # Our HTTP protocol tells; where another one serves, nobody does, and the work goes on to its end.
    left: asyncio.Future[None] = state.get("client_left") or asyncio.get_running_loop().create_future()
    left.add_done_callback(stop)
    try:
        async with asyncio.timeout_at(deadline.at):
            return await looking
    except TimeoutError:
        retry_s = services.admission.retry_after_s()
        words = f"Server busy, the request's time was over; retry in {retry_s} second{'s' * (retry_s != 1)}"
        raise DeadlineExceeded(words, retry_s) from None
    except asyncio.CancelledError:
        if left.done() and work.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        over = True
        left.remove_done_callback(stop)
