"""Requests with an Idempotency-Key: done once while their job is kept, and answered again from what was kept of it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import TracebackType
from typing import NamedTuple

import msgspec
from starlette.responses import Response

from gateway.digest import digest
from gateway.endpoints import Task
from gateway.form_parts import Upload
from gateway.params import DetectParams, MaskParams
from gateway.records.keeping import Records
from gateway.records.once import Before, KeptAnswer, Once
from shared.errors import BadParameter, InProgress, NotFound, StoreDown, Unavailable

KEY_HEADER, REPLAYED_HEADER = "Idempotency-Key", "Idempotency-Replayed"
JOB_HEADER, IMAGE_HEADER, ORIGINAL_HEADER = "X-Job-Id", "X-Image-Id", "X-Original-Id"
KEY_CHARACTERS_MAX = 255
#: Beyond the request's own time: what was begun for it may still be written.
HELD_BEYOND_S = 30.0


class AnsweredBefore(Exception):
    """Carries the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class Wish(NamedTuple):
    """What a request asks, and whose it is."""

    task: Task
    params: DetectParams | MaskParams
    upload: Upload
    key_id: str

    def fingerprint(self, digests: Sequence[str]) -> str:
        """A digest of it all, in hex, SHA-256. digests: of the files."""
        parts = [self.task.encode(), msgspec.json.encode(self.params, order="sorted"), *map(bytes.fromhex, digests)]
        return sha256(b"\0".join(parts)).hexdigest()


def name_of(sent: Sequence[str]) -> str:
    """What the caller calls it; empty for nothing. BadParameter."""
    names = {text for text in sent if text.strip()}
    if not names:
        return ""
    name = names.pop()
    if names or not name.isascii() or not name.isprintable() or len(name) > KEY_CHARACTERS_MAX:
        raise BadParameter(f"{KEY_HEADER} must be 1 to {KEY_CHARACTERS_MAX} printable ASCII characters, sent once")
    return name


@dataclass(slots=True)
class DoneOnce:
    """Around all that is done for a request of this name: it is free again where that fails. None for no name, and
    where the database cannot be asked but need not. AnsweredBefore, BadParameter, InProgress, StoreDown.
    """

    records: Records | None
    name: str
    wish: Wish
    left_s: float
    _claimed: Once | None = None

    async def __aenter__(self) -> Once | None:
        if not self.name or self.records is None:
            return None
        return await self._claim(self.records)

    async def _claim(self, records: Records) -> Once | None:
        wish = self.wish
        named = sha256(f"{wish.key_id}\0{self.name}".encode()).hexdigest()
        digests = [await digest(data) for data in (wish.upload.image, wish.upload.overlay)]
        once = Once(named, wish.fingerprint(digests), secrets.token_hex(8), digests[0])
        try:
            before = await records.begin(once, self.left_s + HELD_BEYOND_S)
        except StoreDown:
            if records.required:
                raise
            return None  # its answer has no job, and says so
        if before is not None:
            return once._replace(job_id=await _repeated(records, wish.key_id, once, before))
        self._claimed = once
        return once

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._claimed is not None and self.records is not None:
            giving_up = asyncio.ensure_future(self.records.give_up(self._claimed))
            with contextlib.suppress(Unavailable):
                await asyncio.shield(giving_up)


async def _repeated(records: Records, key_id: str, once: Once, before: Before) -> str:
    """The id of its job, where its answer must be made again."""
    if before.fingerprint != once.fingerprint:
        raise BadParameter(f"this {KEY_HEADER} came before with another picture or other parameters: send a new one")
    if before.job_id is None or before.answer is None:
        raise InProgress(f"a request with this {KEY_HEADER} is being answered")
    answer = msgspec.json.decode(before.answer, type=KeptAnswer)
    with contextlib.suppress(NotFound, Unavailable):  # deleted, or not to be had now
        response = await _given_again(records, key_id, before.job_id, answer)
        if response is not None:
            records.condition.repeated += 1
            raise AnsweredBefore(response)
    return before.job_id


async def _given_again(records: Records, key_id: str, job_id: str, answer: KeptAnswer) -> Response | None:
    job = await records.one(key_id, job_id)
    ids = {JOB_HEADER: job_id, IMAGE_HEADER: job.image_id, ORIGINAL_HEADER: job.original_id}
    headers = {**dict(answer.headers), **{name: each for name, each in ids.items() if each}, REPLAYED_HEADER: "true"}
    if answer.body is not None:
        body = answer.body
        if answer.image_id and not job.image_id:  # it was deleted since
            body = body.replace(f'"image_id":"{answer.image_id}"', '"image_id":null', 1)
        return Response(body, media_type="application/json", headers=headers)
    if job.image_id is None or records.images is None:
        return None
    image, data = await records.images.content(key_id, job.image_id)
    return Response(data, media_type=image.media_type, headers=headers)
