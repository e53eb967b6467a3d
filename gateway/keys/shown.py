"""Keys and the audit log as scripts see them, through the admin API or the command line: all but what finds a key."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from gateway.keys.audit import AuditRow
from gateway.keys.records import KeyRecord, Scope, State, iso


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key without the key itself."""

    id: str
    name: str
    hint: str
    state: State
    scopes: tuple[Scope, ...]
    detect_limit: int | None
    mask_limit: int | None
    records_ttl: float | None
    created_at: str | None
    created_by: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    replaced_by: str | None


Shown = TypeVar("Shown", bound=Key)


class ListedKey(Key, frozen=True, kw_only=True):
    requests_today: int


class KeyDetails(ListedKey, frozen=True, kw_only=True):
    requests_by_day: dict[str, int]


class MadeKey(Key, frozen=True, kw_only=True):
    key: str


class KeyPage(msgspec.Struct, frozen=True):
    keys: list[ListedKey]
    total: int


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    at: str
    actor: str
    action: str
    subject: str
    detail: str
    address: str


class AuditPage(msgspec.Struct, frozen=True):
    entries: list[AuditEntry]


def shown(kind: type[Shown], record: KeyRecord, now: float, **more: Any) -> Shown:
    """A key as this kind; more: what its record does not know, or knows less well."""
    facts = {name: getattr(record, name) for name in Key.__struct_fields__ if name != "state"}
    moments = {name: iso(moment) for name, moment in facts.items() if name.endswith("_at")}
    return kind(**facts | moments | {"state": record.state(now)} | more)


def made_key(record: KeyRecord, key: str, now: float) -> dict[str, Any]:
    """MadeKey's fields, the two first that are wanted most."""
    made = shown(MadeKey, record, now, key=key)
    return {"id": made.id, "key": made.key} | msgspec.structs.asdict(made)


def entry_of(row: AuditRow) -> AuditEntry:
    return AuditEntry(**msgspec.structs.asdict(row) | {"at": iso(row.at)})
