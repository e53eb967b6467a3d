"""The tables of the key store, as SQLAlchemy Core sees them. `migrations.py` alone makes them, and `meta` beside them.

Times are seconds since the epoch (UTC); a day is `YYYY-MM-DD` in UTC.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Float, MetaData, Table, Text

_ALL = MetaData()


class Tables(NamedTuple):
    keys: Table
    use: Table
    audit: Table
    accounts: Table
    sessions: Table
    links: Table
    attempts: Table
    jobs: Table
    images: Table
    once: Table


def _table(name: str, *columns: str) -> Table:
    """Columns as `name:type`, types t(ext), i(nteger), f(loat); the first ones with `!` are the primary key."""
    return Table(name, _ALL, *(_column(*column.split(":")) for column in columns))


def _column(name: str, kind: str) -> Column[Any]:
    types: dict[str, type[Text | BigInteger | Float[float]]] = {"t": Text, "i": BigInteger, "f": Float}
    return Column(name, types[kind.rstrip("!")], primary_key=kind.endswith("!"))


TABLES = Tables(
    keys=_table(
        "api_keys",
        "id:t!",
        "digest:t",
        "pepper:t",
        "hint:t",
        "name:t",
        "scopes:t",
        "detect_limit:i",
        "mask_limit:i",
        "created_at:f",
        "created_by:t",
        "expires_at:f",
        "revoked_at:f",
        "last_used_at:f",
        "replaced_by:t",
        "version:i",
        "records_ttl:f",
    ),
    use=_table("key_use", "key_id:t!", "day:t!", "requests:i", "errors:i"),
    audit=_table("audit", "id:t!", "at:f", "actor:t", "action:t", "subject:t", "detail:t", "address:t"),
    accounts=_table("accounts", "name:t!", "password_hash:t", "from_setting:i", "changed_at:f"),  # read by people alone
    sessions=_table(
        "sessions", "digest:t!", "id:t", "account:t", "made_at:f", "seen_at:f", "expires_at:f", "address:t", "agent:t"
    ),
    links=_table("links", "digest:t!", "made_at:f", "expires_at:f"),
    attempts=_table("attempts", "account:t!", "network:t!", "failures:i", "since:f", "retry_at:f", "trusted_until:f"),
    jobs=_table(
        "jobs",
        "id:t!",
        "key_id:t",
        "request_id:t",
        "endpoint:t",
        "state:t",
        "created_at:f",
        "expires_at:f",
        "model:t",
        "parameters:t",
        "width:i",
        "height:i",
        "faces:i",
        "masked:i",
        "boxes:t",
        "bytes_in:i",
        "bytes_out:i",
        "sha256_in:t",
        "sha256_out:t",
        "image_id:t",
        "original_id:t",
    ),
    images=_table(
        "images",
        "id:t!",
        "key_id:t",
        "job_id:t",
        "state:t",
        "object:t",
        "media_type:t",
        "width:i",
        "height:i",
        "bytes:i",
        "sha256:t",
        "created_at:f",
        "expires_at:f",
        "due_at:f",
        "kind:t",
    ),
    once=_table("once", "name:t!", "fingerprint:t", "holder:t", "until:f", "job_id:t", "answer:t"),
)
