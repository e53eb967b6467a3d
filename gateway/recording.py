"""What a detect or mask request leaves behind where records are kept: its job, and the id of that on its answer."""

from __future__ import annotations

import asyncio
from functools import partial
from hashlib import sha256

from starlette.responses import Response

from gateway.endpoints import Task
from gateway.params import DetectParams, MaskParams
from gateway.records.job import KeptJob, asked, born_now, found
from gateway.records.keeping import Records
from gateway.visit import Visit
from shared.faces import Faces

JOB_HEADER = "X-Job-Id"
#: Only where an answer has no id although it was to be recorded.
STATUS_HEADER, UNCONFIRMED = "X-Job-Status", "unconfirmed"
#: In detect's answer, before any text of a caller's.
NO_JOB = b'"job_id":null'
#: From so many bytes on a digest is made beside the event loop.
_MANY_BYTES = 256 * 1024


def record(
    seen: Visit[DetectParams] | Visit[MaskParams], task: Task, response: Response, faces: Faces, masked: int | None
) -> None:
    """Once the picture is given back, the request is recorded and its answer told so; StoreDown then where it must be.

    faces: found. masked: how many of them, None for detect. Nothing where records are off, or with store=false.
    """
    if seen.records is not None and seen.params.store:
        seen.afterwards.append(partial(_recorded, seen.records, seen, task, response, faces, masked))


async def _recorded(
    records: Records,
    seen: Visit[DetectParams] | Visit[MaskParams],
    task: Task,
    response: Response,
    faces: Faces,
    masked: int | None,
) -> None:
    facts, principal, birth = seen.picture.facts, seen.record.principal, born_now(records.ttl_s)
    assert principal is not None  # the door knows everybody
    job = KeptJob(
        id=birth.id,
        key_id=principal.key_id,
        request_id=seen.record.request_id,
        endpoint=task,
        created_at=birth.created_at,
        expires_at=birth.expires_at,
        model=seen.detection.worker.model.name,
        parameters=asked(seen.params),
        width=facts.width,
        height=facts.height,
        faces=len(faces),
        masked=masked,
        boxes=found(faces),
        bytes_in=facts.size_bytes,
        bytes_out=len(response.body),
        sha256_in=await _digest(seen.image),
        sha256_out=await _digest(response.body),
    )
    if await records.keep(job):
        _tell(response, job.id, task)
    else:
        response.headers[STATUS_HEADER] = UNCONFIRMED


def _tell(response: Response, job_id: str, task: Task) -> None:
    response.headers[JOB_HEADER] = job_id
    if task == "detect":
        response.body = bytes(response.body).replace(NO_JOB, b'"job_id":"%b"' % job_id.encode(), 1)
        response.headers["content-length"] = str(len(response.body))


async def _digest(data: bytes | bytearray | memoryview) -> str:
    """SHA-256 in hex."""
    if len(data) < _MANY_BYTES:
        return sha256(data).hexdigest()
    return await asyncio.to_thread(lambda: sha256(data).hexdigest())
