"""API keys in the database: make, list, rotate, revoke, count. Blocking; `now` is an argument.

It alone writes keys. Every change takes a higher version number under a lock, so that a process which has
seen version N finds all that came later with one query (`changes_since`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, and_, func, insert, or_, select, text, update

from gateway.keys.audit import Actor, write_entry
from gateway.keys.pepper import Peppers
from gateway.keys.records import Changes, Draft, KeyRecord, State, checked, checked_grace, duration, iso
from gateway.stores import key_format
from gateway.stores.database import Database
from gateway.stores.tables import TABLES
from shared.errors import BadParameter, NotFound
from shared.file_marks import Mark, mark_of

KEYS = TABLES.keys
STEP_MAX = 2**20  # of the version; the sum of a million versions after a million changes still has 63 bits


class Made(msgspec.Struct, frozen=True):
    """A new key: the only time it is seen in clear."""

    key: str
    record: KeyRecord


class Store:
    """`max_keys` bounds the table, `audit_keep` the log."""

    def __init__(self, database: Database, *, max_keys: int, audit_keep: int) -> None:
        self.database = database
        self._max_keys = max_keys
        self._audit_keep = audit_keep

    def create(self, draft: Draft, peppers: Peppers, actor: Actor, now: float) -> Made:
        """BadParameter for a draft out of range or a full store."""
        with self.database.write() as connection:
            made = self._add(connection, checked(draft), peppers, actor, now)
            self._note(connection, actor, "key created", made.record, _summary(made.record), now)
        return made

    def rotate(self, key_id: str, grace_s: float, peppers: Peppers, actor: Actor, now: float) -> Made:
        """A successor with the same rights and lifetime; the old key works for `grace_s` more seconds."""
        grace_s = checked_grace(grace_s)
        with self.database.write() as connection:
            old = _one(connection, key_id)
            _refuse_dead(old, now)
            made = self._add(connection, _like(old), peppers, actor, now)
            ends = now + grace_s if old.expires_at is None else min(old.expires_at, now + grace_s)
            _change(connection, old.id, expires_at=ends, replaced_by=made.record.id)
            self._note(connection, actor, "key rotated", old, f"to {made.record.id}, old until {iso(ends)}", now)
        return made

    def revoke(self, key_id: str, actor: Actor, now: float) -> KeyRecord:
        """Twice is once: the first moment stays."""
        with self.database.write() as connection:
            record = _one(connection, key_id)
            if record.revoked_at is None:
                _change(connection, record.id, revoked_at=now)
                self._note(connection, actor, "key revoked", record, "", now)
            return _one(connection, record.id)

    def get(self, key_id: str) -> KeyRecord:
        """By id, or by hint where that is unique. NotFound."""
        with self.database.read() as connection:
            return _one(connection, key_id)

    def find(self, digests: Sequence[str]) -> KeyRecord | None:
        """The key with one of these digests."""
        query = select(KEYS).where(KEYS.c.digest.in_(digests))
        with self.database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _record(row)

    def page(
        self, now: float, *, search: str = "", state: State | None = None, offset: int = 0, count: int = 100
    ) -> tuple[list[KeyRecord], int]:
        """A page of keys, newest first, and how many there are in all."""
        where = and_(_matches(search), _in_state(state, now))
        query = select(KEYS).where(where).order_by(KEYS.c.created_at.desc(), KEYS.c.id).offset(offset).limit(count)
        with self.database.read() as connection:
            found = [_record(row) for row in connection.execute(query).mappings()]
            total = connection.execute(select(func.count()).select_from(KEYS).where(where)).scalar_one()
        return found, int(total)

    def mark(self, *beside: Path) -> Mark | None:
        """What stays the same while nobody writes to the store, nor to these files; None where only asking tells."""
        files = self.database.files
        return mark_of(time.time(), *files, *beside) if files else None

    def changes_since(self, version: int) -> Changes:
        """Every key that was made or changed after `version`, as of one moment."""
        with self.database.read() as connection:
            present = connection.execute(text("SELECT number FROM meta WHERE name = 'keys_version'")).scalar_one()
            if present == version:
                return Changes(version, [], None)
            rows = connection.execute(select(KEYS).where(KEYS.c.version > version)).mappings()
            records = [_record(row) for row in rows]
            proof = connection.execute(select(func.coalesce(func.sum(KEYS.c.version), 0))).scalar_one()
            return Changes(int(present), records, int(proof))

    def rehash(self, moved: Mapping[str, tuple[str, str]]) -> None:
        """Moves keys (id → digest, name of the pepper it was made with) to other peppers."""
        with self.database.write() as connection:
            for key_id, (digest, pepper) in moved.items():
                _change(connection, key_id, digest=digest, pepper=pepper)

    def peppers_in_use(self, now: float) -> dict[str, int]:
        """How many working keys were hashed with which pepper."""
        query = select(KEYS.c.pepper, func.count()).where(_in_state("active", now)).group_by(KEYS.c.pepper)
        with self.database.read() as connection:
            return {name: int(count) for name, count in connection.execute(query)}

    def first_key(
        self, draft: Draft, peppers: Peppers, actor: Actor, now: float, hand_over: Callable[[str], None]
    ) -> bool:
        """The key of the very first start; False where that was made before, by whichever process.

        `hand_over` gets the key before it counts: one that could not be handed over is never made.
        """
        with self.database.write() as connection:
            # Not looked up first: another host's insertion is waited for, and then this one finds nothing to do.
            claim = text("INSERT INTO meta (name, text) VALUES ('first_key', 'made') ON CONFLICT (name) DO NOTHING")
            if connection.execute(claim).rowcount == 0:
                return False
            made = self._add(connection, checked(draft), peppers, actor, now)
            self._note(connection, actor, "key created", made.record, _summary(made.record), now)
            hand_over(made.key)
        return True

    def _add(self, connection: Connection, draft: Draft, peppers: Peppers, actor: Actor, now: float) -> Made:
        version = _next_version(connection)  # takes the lock, so that the count below is true
        if connection.execute(select(func.count()).select_from(KEYS)).scalar_one() >= self._max_keys:
            raise BadParameter(f"the store holds {self._max_keys} keys, FACE_API_MAX_KEYS: raise it to make more")
        key = key_format.new_key()
        record = KeyRecord(
            id="key_" + secrets.token_hex(6),
            digest=peppers.digest(key.encode("ascii")),
            pepper=peppers.current,
            hint=key_format.hint(key),
            name=draft.name,
            scopes=draft.scopes,
            detect_limit=draft.detect_limit,
            mask_limit=draft.mask_limit,
            records_ttl=draft.records_ttl,
            created_at=now,
            created_by=actor.name,
            expires_at=None if draft.expires_in_s is None else now + draft.expires_in_s,
            revoked_at=None,
            last_used_at=None,
            replaced_by=None,
            version=version,
        )
        connection.execute(insert(KEYS).values(**_row(record)))
        return Made(key, record)

    def _note(
        self, connection: Connection, actor: Actor, action: str, record: KeyRecord, detail: str, now: float
    ) -> None:
        subject = f"{record.id} ({record.name})"
        write_entry(connection, actor, action, subject, detail, now, keep=self._audit_keep)


def _one(connection: Connection, wanted: str) -> KeyRecord:
    query = select(KEYS).where(or_(KEYS.c.id == wanted, KEYS.c.hint == wanted)).limit(2)
    rows = list(connection.execute(query).mappings())
    if len(rows) != 1:
        # The words are fixed: a key given in place of its id must not come back in an error.
        raise NotFound("No such key" if not rows else "Several keys begin like this; give the id")
    return _record(rows[0])


def _change(connection: Connection, key_id: str, **values: Any) -> None:
    version = _next_version(connection)
    connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(version=version, **values))


def _next_version(connection: Connection) -> int:
    # By a random step: a store brought back from a backup does not come to the same numbers by other changes.
    query = text("UPDATE meta SET number = number + :step WHERE name = 'keys_version' RETURNING number")
    return int(connection.execute(query, {"step": 1 + secrets.randbelow(STEP_MAX)}).scalar_one())


def _refuse_dead(record: KeyRecord, now: float) -> None:
    state = record.state(now)
    if state != "active":
        raise BadParameter(f"this key is {state}: make a new one")
    if record.replaced_by is not None:
        raise BadParameter(f"this key was rotated already; its successor is {record.replaced_by}")


def _like(old: KeyRecord) -> Draft:
    life = None if old.expires_at is None else old.expires_at - old.created_at
    return Draft(
        name=old.name,
        scopes=old.scopes,
        expires_in_s=life,
        detect_limit=old.detect_limit,
        mask_limit=old.mask_limit,
        records_ttl=old.records_ttl,
    )


def _matches(search: str) -> Any:
    if not search:
        return text("1 = 1")
    columns = (KEYS.c.name, KEYS.c.id, KEYS.c.hint, KEYS.c.created_by)
    return or_(*(column.icontains(search, autoescape=True) for column in columns))


def _in_state(state: State | None, now: float) -> Any:
    revoked = KEYS.c.revoked_at.is_not(None)
    expired = and_(KEYS.c.expires_at.is_not(None), KEYS.c.expires_at <= now)
    if state == "revoked":
        return revoked
    if state == "expired":
        return and_(~revoked, expired)
    if state == "active":
        return and_(~revoked, or_(KEYS.c.expires_at.is_(None), KEYS.c.expires_at > now))
    return text("1 = 1")


def _record(row: RowMapping) -> KeyRecord:
    return KeyRecord(**{**row, "scopes": tuple(row["scopes"].split(","))})


def _row(record: KeyRecord) -> dict[str, Any]:
    return msgspec.structs.asdict(record) | {"scopes": ",".join(record.scopes)}


def _summary(record: KeyRecord) -> str:
    ends = iso(record.expires_at) or "never"
    limits = f"detect {record.detect_limit or 'by address'}, mask {record.mask_limit or 'by address'}"
    kept = "" if record.records_ttl is None else f"; records kept {duration(record.records_ttl)}"
    return f"scopes {' '.join(record.scopes)}; expires {ends}; limits {limits}{kept}"
