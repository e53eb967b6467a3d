"""A job: what is kept of one answer. Never a file name, an address or a pixel. Pure.

Times are seconds since the epoch (UTC); boxes in pixels of the upright picture, not clipped, best face first.
"""

from __future__ import annotations

import secrets
import time
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from gateway.endpoints import Task
from gateway.keys.records import iso
from gateway.records.once import Fulfilment
from gateway.records.uuid7 import uuid7

State = Literal["done"]
Moment = TypeVar("Moment", float, str)


class FoundFace(msgspec.Struct, frozen=True):
    x1: float
    y1: float
    x2: float
    y2: float
    confidence: float


class JobFacts(msgspec.Struct, Generic[Moment], frozen=True, kw_only=True):
    """What both its row and its caller know. Moment: float or, in RFC 3339, str.

    parameters: those that differ from their defaults. masked: None for detect. sha256_out: of the answer's body.
    image_id: of the picture that its answer named, masked of mask, original of detect; original_id: of the original;
    they are stored if they are named here.
    """

    id: str
    request_id: str
    endpoint: Task
    state: State
    created_at: Moment
    expires_at: Moment
    model: str
    parameters: dict[str, Any]
    width: int
    height: int
    faces: int
    masked: int | None
    boxes: list[FoundFace]
    bytes_in: int
    bytes_out: int
    sha256_in: str
    sha256_out: str
    image_id: str | None
    original_id: str | None


class KeptJob(JobFacts[float], frozen=True, kw_only=True):
    """The row. fulfils: what is committed with it and is no part of it."""

    key_id: str
    fulfils: Fulfilment | None = None

    @property
    def masked_id(self) -> str | None:
        """Of the masked picture."""
        return None if self.image_id == self.original_id else self.image_id


class ShownJob(JobFacts[str], frozen=True, kw_only=True):
    """As its caller sees it."""


class JobPage(msgspec.Struct, frozen=True):
    jobs: list[ShownJob]
    next_cursor: str | None


class Birth(NamedTuple):
    """The id of a job, and from when to when it is kept. original_id: where its picture is to be kept as it came."""

    id: str
    created_at: float
    expires_at: float
    original_id: str | None = None


def born(ttl_s: float, now_ns: int) -> Birth:
    created_at = now_ns / 1e9
    return Birth(str(uuid7(now_ns, secrets.randbits(64))), created_at, created_at + ttl_s)


def born_now(ttl_s: float) -> Birth:
    return born(ttl_s, time.time_ns())


def asked(params: msgspec.Struct) -> dict[str, Any]:
    """The parameters that differ from their defaults, as JSON has them."""
    defaults, given = type(params)(), msgspec.to_builtins(params)
    return {name: value for name, value in given.items() if getattr(params, name) != getattr(defaults, name)}


def row_of(job: KeptJob) -> dict[str, Any]:
    """As the table has it."""
    columns = {name: getattr(job, name) for name in KeptJob.__struct_fields__ if name != "fulfils"}
    lists = {name: msgspec.json.encode(getattr(job, name)).decode() for name in ("parameters", "boxes")}
    return columns | lists


def job_of(row: dict[str, Any]) -> KeptJob:
    """The inverse of `row_of`."""
    boxes = msgspec.json.decode(row["boxes"], type=list[FoundFace])
    return KeptJob(**row | {"parameters": msgspec.json.decode(row["parameters"]), "boxes": boxes})


def shown(job: KeptJob) -> ShownJob:
    facts = {name: getattr(job, name) for name in ShownJob.__struct_fields__}
    return ShownJob(**facts | {name: iso(facts[name]) for name in ("created_at", "expires_at")})
