"""A key as the service knows it, and the rules about its state. Pure: no clock, no store.

Times are seconds since the epoch (UTC). The key itself is in no record: only its keyed hash.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, NamedTuple, overload

import msgspec

from gateway.endpoints import TASKS, Task
from shared import numerals
from shared.errors import BadParameter

Scope = Literal[Task, "admin", "records:read", "records:delete"]
SCOPES: tuple[Scope, ...] = (*TASKS, "admin", "records:read", "records:delete")
State = Literal["active", "expired", "revoked"]

NO_VERSION = -1  # before the first: who asks for changes since then is told of every key
NAME_LENGTH_MAX = 100
LIMIT_MAX = 1_000_000
LIFE_S_MAX = 10 * 366 * 86_400
GRACE_S_MAX = 30 * 86_400
RECORDS_TTL_S_MIN = 60


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One key without the key. `digest` is HMAC-SHA256 in hex under the pepper that `pepper` names.

    records_ttl: most seconds that is kept what its requests leave; None as long as everybody's.
    """

    id: str
    digest: str
    pepper: str
    hint: str
    name: str
    scopes: tuple[Scope, ...]
    detect_limit: int | None
    mask_limit: int | None
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None
    replaced_by: str | None
    version: int
    records_ttl: float | None = None

    def state(self, now: float) -> State:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def limit(self, endpoint: str) -> int | None:
        """The key's own limit per window; None leaves it to the client address."""
        return {"detect": self.detect_limit, "mask": self.mask_limit}.get(endpoint)


class Changes(NamedTuple):
    """What a store tells one who knows it up to some version: the keys that changed since, and its present version.

    proof: the sum of the versions of all its keys. Who then knows other keys than these has seen another history, as
    after a restored backup. None where nothing changed.
    """

    version: int
    records: list[KeyRecord]
    proof: int | None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for when a key is made."""

    name: str
    scopes: tuple[Scope, ...] = ("detect", "mask")
    expires_in_s: float | None = None
    detect_limit: int | None = None
    mask_limit: int | None = None
    records_ttl: float | None = None


def checked(draft: Draft) -> Draft:
    """The draft with its name trimmed and its scopes in order; BadParameter names what is wrong."""
    name = " ".join(draft.name.split())
    if not 1 <= len(name) <= NAME_LENGTH_MAX:
        raise BadParameter(f"name: must have 1 to {NAME_LENGTH_MAX} characters")
    if not name.isprintable():
        raise BadParameter("name: must not hold control characters")
    if not draft.scopes:
        raise BadParameter(f"scopes: at least one of {', '.join(SCOPES)}")
    _check_limit("detect_limit", draft.detect_limit)
    _check_limit("mask_limit", draft.mask_limit)
    if draft.expires_in_s is not None and not 0 < draft.expires_in_s <= LIFE_S_MAX:
        raise BadParameter("expires_in: must be more than 0 and at most 10 years")
    if draft.records_ttl is not None and not RECORDS_TTL_S_MIN <= draft.records_ttl <= LIFE_S_MAX:
        raise BadParameter("records_ttl: must be 1 minute to 10 years")
    return msgspec.structs.replace(draft, name=name, scopes=tuple(s for s in SCOPES if s in draft.scopes))


def limited_as(scope: Scope) -> str:
    """The name of the limit that its requests count in, and of the setting: rate_limit_ and this."""
    return scope.partition(":")[0]


def checked_grace(seconds: float) -> float:
    if not 0 <= seconds <= GRACE_S_MAX:
        raise BadParameter("grace: must be 0 to 30 days")
    return seconds


def parse_scopes(names: list[str]) -> tuple[Scope, ...]:
    """Scopes by name; BadParameter lists the known ones."""
    unknown = [name for name in names if name not in SCOPES]
    if unknown:
        raise BadParameter(f"scopes: {', '.join(unknown)} is unknown; choose from {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in names)


def parse_duration(text: str) -> float:
    """Seconds of `90d`, `24h`, `30m`, `45s` or a plain number of seconds; BadParameter otherwise."""
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get(text[-1:], 0)
    number = numerals.whole(text[:-1] if unit else text)
    if number is None or number < 0:
        raise BadParameter(f"{text[:20]!r} is no duration; write 90d, 24h, 30m or 45s")
    return float(number * (unit or 1))


def duration(seconds: float) -> str:
    """As `parse_duration` reads it: `24h`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


@overload
def iso(moment: float) -> str: ...


@overload
def iso(moment: None) -> None: ...


@overload
def iso(moment: float | None) -> str | None: ...


def iso(moment: float | None) -> str | None:
    """RFC 3339 in UTC to the second, `2026-11-22T12:52:00Z`."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _check_limit(name: str, limit: int | None) -> None:
    if limit is not None and not 1 <= limit <= LIMIT_MAX:
        raise BadParameter(f"{name}: must be 1 to {LIMIT_MAX}")
