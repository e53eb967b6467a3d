"""The audit log: who did what to which key or account, when and from where. Entries hold no secret.

Blocking. An entry is written in the transaction of what it tells about: neither is there without the other.
"""

from __future__ import annotations

import secrets
import time

import msgspec
from sqlalchemy import Connection, delete, func, insert, or_, select

from gateway.stores.key_format import redact
from gateway.stores.tables import TABLES

TEXT_LENGTH_MAX = 300


class Actor(msgspec.Struct, frozen=True):
    """Somebody who acts: `console:admin`, `key:key_0a1b2c3d4e5f`, `command line`; and the client's address."""

    name: str
    address: str = ""


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    at: float
    actor: str
    action: str
    subject: str
    detail: str
    address: str


def write_entry(
    connection: Connection, actor: Actor, action: str, subject: str, detail: str, now: float, *, keep: int = 0
) -> None:
    """Adds one entry; with `keep` the oldest beyond that many go."""
    # Sorts by time, and within one request by what was done first.
    identity = f"{int(now * 1e6):016x}{time.monotonic_ns() & 0xFF_FFFF_FFFF:010x}{secrets.token_hex(2)}"
    connection.execute(
        insert(TABLES.audit).values(
            id=identity,
            at=now,
            actor=_short(actor.name),
            action=action,
            subject=_short(subject),
            detail=_short(detail),
            address=_short(actor.address),
        )
    )
    if keep:
        prune(connection, keep)


def entries(connection: Connection, *, search: str = "", before: str = "", count: int = 50) -> list[AuditRow]:
    """Newest first; `before` is the id of the last entry already seen, `search` a part of any column."""
    table = TABLES.audit
    query = select(table).order_by(table.c.id.desc()).limit(count)
    if before:
        query = query.where(table.c.id < before)
    if search:
        columns = (table.c.actor, table.c.action, table.c.subject, table.c.detail, table.c.address)
        query = query.where(or_(*(column.icontains(search, autoescape=True) for column in columns)))
    return [AuditRow(**row) for row in connection.execute(query).mappings()]


def prune(connection: Connection, keep: int) -> None:
    """Drops the oldest entries beyond `keep`."""
    table = TABLES.audit
    if connection.execute(select(func.count()).select_from(table)).scalar_one() <= keep:
        return
    oldest_kept = select(table.c.id).order_by(table.c.id.desc()).offset(keep - 1).limit(1).scalar_subquery()
    connection.execute(delete(table).where(table.c.id < oldest_kept))


def _short(text: str) -> str:
    return redact(text)[:TEXT_LENGTH_MAX]
