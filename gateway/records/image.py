"""An image: one kept picture. Its row is here, its bytes are an object in a folder or a bucket. Pure.

Times are seconds since the epoch (UTC); width and height in pixels of the upright picture.
"""

from __future__ import annotations

import secrets
from typing import Generic, Literal, NamedTuple

import msgspec

from gateway.keys.records import iso
from gateway.records.job import KeptJob, Moment
from gateway.records.uuid7 import uuid7

#: pending: its object may be there, whole. stored: it is. deleting: it may be, and the image is nobody's any more.
State = Literal["pending", "stored", "deleting"]
#: original: as it came, faces and all.
Kind = Literal["masked", "original"]
#: A picture that was not stored within so many seconds was given up by whoever stored it.
PENDING_S = 300.0
OBJECT_NAME = r"[0-9a-f]{32}"


class ImageFacts(msgspec.Struct, Generic[Moment], frozen=True, kw_only=True):
    """What both its row and its caller know. sha256, bytes: of the object. Moment: float or, in RFC 3339, str."""

    id: str
    job_id: str
    kind: Kind
    created_at: Moment
    expires_at: Moment
    media_type: str
    width: int
    height: int
    bytes: int
    sha256: str


class KeptImage(ImageFacts[float], frozen=True, kw_only=True):
    """The row. object: a random name that says nothing of anybody. due_at: when the sweeper is to take it in hand."""

    key_id: str
    object: str
    state: State
    due_at: float


class ShownImage(ImageFacts[str], frozen=True, kw_only=True):
    """As its caller sees it, once it is stored."""


class ImagePage(msgspec.Struct, frozen=True):
    images: list[ShownImage]
    next_cursor: str | None


class ImageUrl(msgspec.Struct, frozen=True):
    url: str
    expires_at: str


class ToKeep(NamedTuple):
    """What is to be kept: the bytes of an encoded picture, and their SHA-256 in hex. id: empty for a new one."""

    data: bytes | bytearray | memoryview
    media_type: str
    sha256: str
    kind: Kind = "masked"
    id: str = ""


class Doomed(NamedTuple):
    """An image that is marked as deleting, and its object, which is to go before the row does."""

    id: str
    object: str


def pending(picture: ToKeep, job: KeptJob, now_ns: int) -> KeptImage:
    """The row that is there before the object is. job: with which it lives and ends."""
    return KeptImage(
        id=picture.id or str(uuid7(now_ns, secrets.randbits(64))),
        job_id=job.id,
        kind=picture.kind,
        media_type=picture.media_type,
        width=job.width,
        height=job.height,
        bytes=len(picture.data),
        sha256=picture.sha256,
        key_id=job.key_id,
        object=new_object(),
        state="pending",
        created_at=now_ns / 1e9,
        expires_at=job.expires_at,
        due_at=now_ns / 1e9 + PENDING_S,
    )


def new_object() -> str:
    """A name that nobody can guess and no other has."""
    return secrets.token_hex(16)


def shown(image: KeptImage) -> ShownImage:
    facts = {name: getattr(image, name) for name in ShownImage.__struct_fields__}
    return ShownImage(**facts | {name: iso(facts[name]) for name in ("created_at", "expires_at")})
