"""What detect and mask have in common: from the door to the faces, and out again whatever happens.

    access → admission → body → parameters → picture → faces → answer

Each step may refuse; every step behind it then never happens, and what was taken is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Generic
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from gateway.admission.fare import fare_of
from gateway.admission.turnstile import Turn
from gateway.choosing import chosen
from gateway.deciding import refuse_senseless
from gateway.dispatching.detection import NOT_LOOKED, detect_picture
from gateway.dispatching.dispatch import Detection
from gateway.edge.conversation import Patience
from gateway.endpoints import Task
from gateway.form_parts import Upload
from gateway.looking import Looking, looking, reach_of, stays_planar
from gateway.params import DetectParams, MaskParams, Params, parse_params
from gateway.pictures.headers.facts import Header
from gateway.pictures.image_header import check_limits, read_header
from gateway.pictures.masking import refuse_to_keep
from gateway.pictures.overlay_file import OverlayFile
from gateway.pictures.picture import Picture
from gateway.record import HeaderPairs, RequestRecord, record_of, texts_of
from gateway.records.keeping import Records
from gateway.records.once import Once
from gateway.repeating import KEY_HEADER, DoneOnce, Wish, name_of
from gateway.request_time import TIMEOUT_HEADER, RequestTime, asked_s, in_time
from gateway.services import Services, services_of
from gateway.trace_context import Trace
from gateway.unknown_names import IGNORED_HEADER, OVERLAY_FIELD, ignored_names
from gateway.upload import FRAMING_BYTES_MAX, check_head, gathered, read_body
from shared import numerals
from shared.deadline import Deadline
from shared.errors import BadParameter
from shared.settings import Settings

#: How often the picture was looked at.
LOOKS_HEADER = "X-Looks"
#: As they are sent.
_TIMEOUT, _ONCE, _LOOKS, _IGNORED = (
    name.lower().encode() for name in (TIMEOUT_HEADER, KEY_HEADER, LOOKS_HEADER, IGNORED_HEADER)
)


@dataclass(frozen=True, slots=True)
class Visit(Generic[Params]):
    """One request that has its faces. The picture is open as long as its block runs. ignored: names of fields.
    overlay: of the caller. image: the file as it came. records: where one is to be kept of it. once: where it is not to
    be done twice. afterwards: what is to be done for its answer once the picture is given back and the next one's turn
    has come.
    """

    record: RequestRecord
    params: Params
    picture: Picture
    detection: Detection
    ignored: str
    overlay: OverlayFile | None
    image: memoryview
    records: Records | None
    once: Once | None
    afterwards: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def answer(self, body: bytes | bytearray | memoryview, media_type: str, headers: dict[str, str]) -> Response:
        """The response, with what every answer of detect and mask carries."""
        response = Response(body, media_type=media_type, headers=headers)
        response.raw_headers += [
            (_LOOKS, self.detection.looks.told().encode()),
            *self.record.limit_headers,
            *([(_IGNORED, self.ignored.encode("latin-1"))] if self.ignored else []),
            (b"server-timing", self.record.timings.server_timing().encode()),
        ]
        return response


@contextlib.asynccontextmanager
async def visit(request: Request, task: Task, kind: type[Params]) -> AsyncIterator[Visit[Params]]:
    """The whole way of a detect or mask request to its faces; the block makes the answer, within the same time."""
    services, headers = services_of(request.scope), request.scope["headers"]
    settings, record, now = services.settings, record_of(request.scope), asyncio.get_running_loop().time
    wanted = RequestTime(settings.request_timeout, asked_s(texts_of(headers, _TIMEOUT)), now())
    admitted = await services.door.enter(request.scope, task)
    record.timings.lap("auth")
    async with admitted.settled(wanted):
        check_head(headers, settings.max_image_bytes)
        declared = _declared_bytes(headers, settings)
        with services.admission.enter(declared, admitted.client, wanted.deadline.left_s(now())):
            upload = await _receive(request, settings, wanted)
            record.timings.lap("read")
            query = _query(request)
            params = parse_params(kind, query, upload.fields)
            ignored = ignored_names(kind.__struct_fields__, query, upload.fields)
            overlay = _overlay(upload.overlay, params)
            deadline, records = wanted.deadline, services.records if params.store else None
            name = name_of(texts_of(headers, _ONCE))
            if name and records is None:
                ignored = ", ".join(filter(None, (ignored, KEY_HEADER)))
            wish = Wish(task, params, upload, admitted.principal.key_id)
            async with (
                in_time(deadline, record.client_left, services.admission.retry_after_s),
                DoneOnce(records, name, wish, deadline.left_s(now())) as once,
            ):
                header = read_header(upload.image)
                check_limits(header, settings)  # a refusal waits for nobody
                refuse_senseless(params, *header.upright_size, settings)
                kept = _kept(params, header)
                looks = looking(task, params, settings, closer_network=services.dispatcher.closer_network)
                exact = services.dispatcher.exact_pixels
                async with _turn(services, header, admitted.client, looks, deadline):
                    record.timings.lap("queue")
                    picture = await services.pictures.open(
                        upload.image, sides=looks.sides, to_mask=task == "mask", kept=kept,
                        header=header, tiles=looks.tiles, metadata=params.metadata,
                        reach=reach_of(looks, params, settings, exact_pixels=exact),
                        planar=stays_planar(looks, params, settings, exact_pixels=exact),
                    )  # fmt: skip
                    try:
                        detection = await _detected(services, picture, looks, deadline, record.trace)
                        _book(record, picture, detection)
                        seen = Visit(record, params, picture, detection, ignored, overlay, upload.image, records, once)
                        yield seen
                    finally:
                        picture.close()
                for step in seen.afterwards:
                    await step()
                services.admission.answered(now())


def _query(request: Request) -> list[tuple[str, str]]:
    sent: bytes = request.scope["query_string"]
    return parse_qsl(sent.decode("latin-1"), keep_blank_values=True) if sent else []


def _kept(params: DetectParams | MaskParams, header: Header) -> bool:
    """Whether the file is kept but for its masks. Raises BadParameter where it cannot be."""
    if isinstance(params, DetectParams):
        return False
    refuse_to_keep(header, params.options)
    return params.options.keeps


def _overlay(data: bytes, params: DetectParams | MaskParams) -> OverlayFile | None:
    if not data:
        return None
    if not isinstance(params, MaskParams) or params.method != "overlay":
        raise BadParameter(f"a file came in `{OVERLAY_FIELD}`, which is for mask with method=overlay alone")
    return OverlayFile.of(data)


def _turn(services: Services, header: Header, client: str, looks: Looking, deadline: Deadline) -> Turn:
    """Its turn at the decoders; NoTimeLeft where it would come too late."""
    admission, turnstile = services.admission, services.turnstile
    passes, left_s = looks.passes(header), deadline.left_s(asyncio.get_running_loop().time())
    admission.check_again(turnstile.waiting, left_s, passes)
    return turnstile.turn(fare_of(header, client, admission.model_interval_s() * passes, passes))


async def _detected(
    services: Services, picture: Picture, looks: Looking, deadline: Deadline, trace: Trace | None
) -> Detection:
    """The faces that are wanted; none where nobody is to be looked for."""
    if not looks.sides:
        return NOT_LOOKED
    question = looks.question if trace is None else replace(looks.question, trace=trace.told)
    detection = await detect_picture(services.dispatcher, picture, question, deadline)
    services.metrics.batch(detection.batch_size, detection.dispatch)
    if looks.choice.plain:
        return detection
    facts = picture.facts
    return msgspec.structs.replace(detection, faces=chosen(detection.faces, looks.choice, facts.width, facts.height))


def _book(record: RequestRecord, picture: Picture, detection: Detection) -> None:
    """What it has cost until its faces were known; the answer's own stages are booked by who makes it."""
    record.faces, timings = len(detection.faces), record.timings
    timings.add("decode", picture.decode_ms)
    timings.add("preprocess", picture.preprocess_ms)
    timings.add("queue", detection.queue_ms)
    timings.add("inference", detection.inference_ms)
    timings.add("postprocess", detection.postprocess_ms)
    timings.skip()


def _declared_bytes(headers: HeaderPairs, settings: Settings) -> int:
    declared = next(map(numerals.count, texts_of(headers, b"content-length")), None)
    return settings.max_image_bytes if declared is None else declared


async def _receive(request: Request, settings: Settings, wanted: RequestTime) -> Upload:
    """The whole body. Whether a slow one goes on arriving fast enough is the connection's business; here it has in all
    what the least rate allows a body of its size.
    """
    headers, now = request.scope["headers"], asyncio.get_running_loop().time
    slowest_s = Patience.of(settings).slowest_upload_s(_declared_bytes(headers, settings))
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    async with wanted.for_body(slowest_s, now()):
        upload = await read_body(content_type, _growing(request, settings.max_image_bytes), settings.max_image_bytes)
    wanted.body_is_here(now())
    return upload


def _growing(request: Request, image_bytes_max: int) -> AsyncIterator[bytearray]:
    """The body as the connection gathers it, or in its pieces where it does not."""
    gather = record_of(request.scope).body
    return gathered(_body(request.receive)) if gather is None else gather(image_bytes_max + FRAMING_BYTES_MAX)


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if chunk := message.get("body", b""):
            yield chunk
        more = message.get("more_body", False)
