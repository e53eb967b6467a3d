"""Who is signed in: sessions in the store, known by the hash of a cookie. Blocking; `now` is an argument.

It alone knows how long a session lives. The cookie's value is nowhere but in the browser.
"""

from __future__ import annotations

import hashlib
import secrets

import msgspec
from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update

from gateway.stores.database import Database
from gateway.stores.tables import TABLES
from shared.settings import Settings

SESSIONS = TABLES.sessions
PER_ACCOUNT_MAX = 50
SEEN_EVERY_S = 60.0
TOKEN_LENGTH_MAX = 100
AGENT_LENGTH_MAX = 200


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """`id` may be shown, and names the session when it is ended by hand."""

    digest: str
    id: str
    account: str
    made_at: float
    seen_at: float
    expires_at: float
    address: str
    agent: str


class Sessions:
    """`idle_s` without a request, or `life_s` in all, and a session is over."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self.idle_s = settings.session_idle_minutes * 60
        self.life_s = settings.session_hours * 3600

    def open(self, account: str, address: str, agent: str, now: float) -> str:
        """The cookie's value of a new session; the oldest beyond PER_ACCOUNT_MAX ends."""
        token = secrets.token_urlsafe(32)
        session = Session(
            digest=_digest(token),
            id="ses_" + secrets.token_hex(6),
            account=account,
            made_at=now,
            seen_at=now,
            expires_at=now + self.life_s,
            address=address,
            agent="".join(c for c in agent if c.isprintable())[:AGENT_LENGTH_MAX],
        )
        with self._database.write() as connection:
            connection.execute(delete(SESSIONS).where(self._over(now)))
            mine = select(SESSIONS.c.digest).where(SESSIONS.c.account == account).order_by(SESSIONS.c.made_at)
            known = list(connection.execute(mine).scalars())
            surplus = known[: max(0, len(known) + 1 - PER_ACCOUNT_MAX)]
            connection.execute(delete(SESSIONS).where(SESSIONS.c.digest.in_(surplus)))
            connection.execute(insert(SESSIONS).values(**msgspec.structs.asdict(session)))
        return token

    def find(self, token: str, now: float, *, active: bool) -> Session | None:
        """The living session of a cookie. `active` keeps it alive; a page that renews itself is not activity."""
        if not token or len(token) > TOKEN_LENGTH_MAX:
            return None
        query = select(SESSIONS).where(and_(SESSIONS.c.digest == _digest(token), ~self._over(now)))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        session = Session(**row)
        if active and now - session.seen_at >= SEEN_EVERY_S:
            with self._database.write() as connection:
                connection.execute(update(SESSIONS).where(SESSIONS.c.digest == session.digest).values(seen_at=now))
        return session

    def of(self, account: str, now: float) -> list[Session]:
        """Living sessions, newest first."""
        query = select(SESSIONS).where(and_(SESSIONS.c.account == account, ~self._over(now)))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(SESSIONS.c.made_at.desc())).mappings()
            return [Session(**row) for row in rows]

    def end(self, account: str, session_id: str) -> bool:
        """Ends one of the account's sessions by its id; False where there is none."""
        mine = and_(SESSIONS.c.account == account, SESSIONS.c.id == session_id)
        with self._database.write() as connection:
            return connection.execute(delete(SESSIONS).where(mine)).rowcount > 0

    def end_others(self, session: Session) -> int:
        """Ends every session of the account but this one; how many there were."""
        others = and_(SESSIONS.c.account == session.account, SESSIONS.c.digest != session.digest)
        with self._database.write() as connection:
            return connection.execute(delete(SESSIONS).where(others)).rowcount

    def forget_old(self, now: float) -> None:
        """Drops the rows of sessions that are over."""
        with self._database.write() as connection:
            connection.execute(delete(SESSIONS).where(self._over(now)))

    def _over(self, now: float) -> ColumnElement[bool]:
        return or_(SESSIONS.c.expires_at <= now, SESSIONS.c.seen_at <= now - self.idle_s)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
