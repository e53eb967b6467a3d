"""What a detect or mask request leaves behind where records are kept: its job, for mask its picture, and the ids of
those on its answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.digest import digest
from gateway.endpoints import Task
from gateway.params import DetectParams, MaskParams
from gateway.record import RequestRecord, record_of
from gateway.records.image import ToKeep
from gateway.records.job import Birth, FoundFace, KeptJob, asked, born_now
from gateway.records.keeping import Committed, Records
from gateway.records.once import Fulfilment, KeptAnswer
from gateway.records.uuid7 import uuid7_now
from gateway.repeating import IMAGE_HEADER, JOB_HEADER, ORIGINAL_HEADER, AnsweredBefore
from gateway.visit import Visit
from shared.faces import Faces

#: Only where an answer has no such id although it was to have one.
JOB_STATUS, IMAGE_STATUS, UNCONFIRMED = "X-Job-Status", "X-Image-Status", "unconfirmed"
#: Boxes that are kept of a crowd; all faces are counted.
BOXES_MAX = 1000
#: Longer bodies are not kept to be given again.
ANSWER_BYTES_MAX = 256 * 1024

Seen = Visit[DetectParams] | Visit[MaskParams]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told of an answer that its visit does not know.

    faces: found. masked: how many of them, None for detect. to_keep: whether its body is a picture that may be kept.
    body: with the ids of job and original; always the same where it tells of none.
    """

    task: Task
    response: Response
    faces: Faces
    masked: int | None = None
    to_keep: bool = False
    body: Callable[[str | None, str | None], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Repeatable:
    """An endpoint, as an ASGI application; what it answered before under the same Idempotency-Key it answers again."""

    endpoint: Callable[[Request], Awaitable[Response]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self.endpoint(Request(scope, receive))
        except AnsweredBefore as before:
            response = before.response
            response.raw_headers.extend(record_of(scope).limit_headers)
        await response(scope, receive, send)


def birth_of(seen: Seen) -> Birth | None:
    """Of the job that this request is to leave, or has left before; None where records are off, or with store=false."""
    if seen.records is None:
        return None
    birth = born_now(_ttl_s(seen.records, seen.record))
    if seen.once is not None and seen.once.job_id:
        return birth._replace(id=seen.once.job_id)
    images = seen.records.images
    return birth._replace(original_id=uuid7_now()) if images is not None and images.originals else birth


def _ttl_s(records: Records, request: RequestRecord) -> float:
    """The shorter of the service's time and the key's."""
    own = None if request.principal is None else request.principal.records_ttl
    return records.ttl_s if own is None else min(records.ttl_s, own)


def record(seen: Seen, birth: Birth | None, answer: Answer) -> None:
    """Once the picture is given back, the request is recorded and its answer told so; StoreDown, StorageDown then where
    it must be and cannot.
    """
    if seen.records is None or birth is None:
        return
    if seen.once is not None and seen.once.job_id:
        answer.response.headers[JOB_HEADER] = birth.id
    else:
        seen.afterwards.append(partial(_recorded, seen.records, seen, birth, answer))


async def _recorded(records: Records, seen: Seen, birth: Birth, answer: Answer) -> None:
    job = await _job(seen, birth, answer)
    pictures = [] if records.images is None else _pictures(seen, birth, answer, job)
    alone = await _alone(job, birth, answer) if pictures and answer.body is not None else None
    _tell(answer, job, await records.keep(job, *pictures, alone=alone), expected=bool(pictures))


def _pictures(seen: Seen, birth: Birth, answer: Answer, job: KeptJob) -> list[ToKeep]:
    pictures, response = [], answer.response
    if answer.to_keep:
        pictures.append(ToKeep(response.body, str(response.media_type), job.sha256_out))
    if birth.original_id is not None:
        pictures.append(ToKeep(seen.image, seen.picture.media_type, job.sha256_in, "original", birth.original_id))
    return pictures


async def _alone(job: KeptJob, birth: Birth, answer: Answer) -> KeptJob:
    """The job of the answer that names no picture."""
    assert answer.body is not None
    body = answer.body(birth.id, None)
    fulfils = job.fulfils and job.fulfils._replace(answer=_to_repeat(answer, body, None))
    digests = {"bytes_out": len(body), "sha256_out": await digest(body)}
    return msgspec.structs.replace(job, fulfils=fulfils, **digests)


async def _job(seen: Seen, birth: Birth, answer: Answer) -> KeptJob:
    facts, principal, body = seen.picture.facts, seen.record.principal, answer.response.body
    assert principal is not None  # the door knows everybody
    named = birth.original_id if answer.body is not None else None
    return KeptJob(
        id=birth.id,
        key_id=principal.key_id,
        request_id=seen.record.request_id,
        endpoint=answer.task,
        state="done",
        created_at=birth.created_at,
        expires_at=birth.expires_at,
        model=seen.detection.worker.model.name,
        parameters=asked(seen.params),
        width=facts.width,
        height=facts.height,
        faces=len(answer.faces),
        masked=answer.masked,
        boxes=_boxes(answer.faces),
        bytes_in=facts.size_bytes,
        bytes_out=len(body),
        sha256_in=await digest(seen.image) if seen.once is None else seen.once.sha256_in,
        sha256_out=await digest(body),
        image_id=None,
        original_id=None,
        fulfils=None if seen.once is None else Fulfilment(seen.once, _to_repeat(answer, body, named)),
    )


def _boxes(faces: Faces) -> list[FoundFace]:
    """As detect's answer rounds them, at most BOXES_MAX."""
    boxes, scores = faces.boxes[:BOXES_MAX].tolist(), faces.scores[:BOXES_MAX].tolist()
    return [
        FoundFace(round(x1, 1), round(y1, 1), round(x2, 1), round(y2, 1), round(score, 4))
        for (x1, y1, x2, y2), score in zip(boxes, scores, strict=True)
    ]


def _to_repeat(answer: Answer, body: bytes | memoryview, named: str | None) -> str:
    """named: the image that the body names."""
    headers = [(name, text) for name, text in answer.response.headers.items() if name.startswith("x-")]
    is_kept = answer.body is not None and len(body) <= ANSWER_BYTES_MAX
    return msgspec.json.encode(KeptAnswer(headers, bytes(body).decode() if is_kept else None, named)).decode()


def _tell(answer: Answer, job: KeptJob, committed: Committed, *, expected: bool) -> None:
    """expected: whether pictures of it were to be kept."""
    response = answer.response
    response.headers.update(_ids(job, committed))
    if expected and not committed.pictures:
        response.headers[IMAGE_STATUS] = UNCONFIRMED
    if answer.body is not None and not (committed.job and committed.pictures == expected):
        response.body = answer.body(job.id if committed.job else None, committed.image_id)
        response.headers["content-length"] = str(len(response.body))


def _ids(job: KeptJob, committed: Committed) -> dict[str, str]:
    ids = {JOB_HEADER: job.id} if committed.job else {JOB_STATUS: UNCONFIRMED}
    if committed.image_id is not None:
        ids[IMAGE_HEADER] = committed.image_id
    if committed.original_id is not None:
        ids[ORIGINAL_HEADER] = committed.original_id
    return ids
