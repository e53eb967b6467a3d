"""The pages about what is kept of requests: jobs of all keys, one with its pictures, deletion and erasure."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from gateway.console.web import Visitor, go_to
from gateway.keys.audit import write_entry
from gateway.records import erasing, table
from gateway.records.image import Doomed, Kind
from gateway.records.job import KeptJob
from shared.errors import BadParameter, NotFound

PER_PAGE = 50
KEY_CHARACTERS_MAX = 64
HOME = "/console/records"


async def show_records(visitor: Visitor) -> Response:
    return await _list(visitor, 200, "")


async def _list(visitor: Visitor, status: int, words: str, given: dict[str, str] | None = None) -> Response:
    query = visitor.request.query_params
    key_id, before = query.get("key", "").strip()[:KEY_CHARACTERS_MAX], _cursor(query.get("before", ""))
    look = partial(table.page, visitor.database, key_id or None, before, PER_PAGE + 1, visitor.now)
    jobs = await visitor.in_thread(look)
    older = None
    if len(jobs) > PER_PAGE:
        jobs = jobs[:PER_PAGE]
        older = f"{HOME}?" + urlencode({"key": key_id, "before": jobs[-1].id})
    facts = {"jobs": jobs, "key_id": key_id, "older": older, "newest": not before}
    given = given or {"key_id": key_id, "before": ""}
    mode = visitor.services.settings.records
    return visitor.show("records.html", status, words=words, given=given, mode=mode, **facts)


async def show_record(visitor: Visitor) -> Response:
    return visitor.show("record.html", job=await _job(visitor))


async def show_picture(visitor: Visitor) -> Response:
    """Its bytes, masked or, where that is asked, as it came; who looked at whose picture is noted."""
    job, images = await _job(visitor), visitor.services.images
    kind: Kind = "original" if visitor.request.query_params.get("kind") == "original" else "masked"
    image_id = job.original_id if kind == "original" else job.masked_id
    if images is None or image_id is None:
        raise NotFound("No such picture is kept of this request")
    image, data = await images.content(job.key_id, image_id)

    def note() -> None:
        with visitor.database.write() as connection:
            write_entry(connection, visitor.actor, "picture shown", _subject(job), kind, visitor.now)

    await visitor.in_thread(note)
    return Response(data, media_type=image.media_type, headers={"cache-control": "no-store"})


async def delete_record(visitor: Visitor) -> Response:
    job = await _job(visitor)

    def delete() -> list[Doomed] | None:
        return table.delete_one(visitor.database, job.key_id, job.id, visitor.now, by=visitor.actor)

    doomed = await visitor.in_thread(delete)
    if doomed and visitor.services.images is not None:
        await visitor.services.images.tried(doomed)
    return go_to(f"{HOME}?{urlencode({'key': job.key_id})}")


async def erase(visitor: Visitor) -> Response:
    """Asks first, and erases when it comes back with that answer."""
    given = {name: visitor.value(name).strip() for name in ("key_id", "before")}
    services = visitor.services
    try:
        wanted = erasing.checked(given["key_id"], given["before"])
    except BadParameter as error:
        return await _list(visitor, error.status, str(error), given)
    if visitor.value("sure") != "yes":
        count = await visitor.in_thread(lambda: erasing.count(visitor.database, wanted))
        return visitor.show("erase.html", given=given, wanted=wanted, count=count)
    keep = services.settings.audit_keep
    erased = await erasing.erase(services.keys, services.images, wanted, visitor.actor, visitor.now, keep)
    return visitor.show("erase.html", given=given, wanted=wanted, erased=erased)


async def _job(visitor: Visitor) -> KeptJob:
    job_id = _cursor(str(visitor.request.path_params["job_id"]))
    job = await visitor.in_thread(lambda: table.one(visitor.database, None, job_id, visitor.now))
    if job is None:
        raise NotFound("No such job: it expired or was deleted")
    return job


def _subject(job: KeptJob) -> str:
    return f"job {job.id} of {job.key_id}"


def _cursor(text: str) -> str:
    """An id as the table has it; nothing for what is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""
