"""Console accounts: passwords (argon2id), one-time links, and who may try when. Blocking; `now` is an argument.

It alone reads and writes passwords. There is no default one: without a setting, a one-time link sets the first.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, and_, delete, insert, select, update

from gateway.keys.audit import Actor, write_entry
from gateway.people import throttle
from gateway.people.throttle import EVERYWHERE, Attempts
from gateway.stores.database import Database
from gateway.stores.tables import TABLES
from shared.access_rules import PASSWORD_LENGTH_MIN
from shared.errors import BadParameter, Forbidden, RateLimited, Unauthorized

ADMIN = "admin"
PASSWORD_LENGTH_MAX = 1000
NAME_LENGTH_MAX = 64
LINK_LIFE_S = 86_400.0
ACCOUNTS, LINKS, TRIES = TABLES.accounts, TABLES.links, TABLES.attempts
# Verified against for accounts that do not exist, so that they take as long as those that do.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$K8av98ah+b8AjdMm8e6HkQ$LYD+s6RrA1UIRQfa/MM5FrJW3turFGAxOU+gqSp6Ipo"


class Admin(msgspec.Struct, frozen=True):
    name: str
    from_setting: bool


class Accounts:
    """One admin account today; the table takes more."""

    def __init__(self, database: Database, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._hasher = hasher or PasswordHasher()

    def find(self, name: str = ADMIN) -> Admin | None:
        with self._database.read() as connection:
            row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.name == name)).mappings().first()
        return None if row is None else Admin(row["name"], bool(row["from_setting"]))

    def take_setting(self, password: str, now: float) -> None:
        """The password of the settings is the admin's; where it is new, everybody is signed out."""
        with self._database.read() as connection:
            stored = _hash_of(connection, ADMIN)
        if stored is not None and self._verify(stored, password):
            return
        hashed = self._hasher.hash(password)
        with self._database.write() as connection:
            _store(connection, ADMIN, hashed, from_setting=True, now=now)
            write_entry(connection, Actor("settings"), "password set", ADMIN, "", now)

    def new_link(self, now: float) -> str:
        """A token that sets the admin's password once, within a day; earlier ones end."""
        token = secrets.token_urlsafe(32)
        with self._database.write() as connection:
            connection.execute(delete(LINKS))
            row = {"digest": _digest(token), "made_at": now, "expires_at": now + LINK_LIFE_S}
            connection.execute(insert(LINKS).values(**row))
        return token

    def link_works(self, token: str, now: float) -> bool:
        query = select(LINKS.c.digest).where(and_(LINKS.c.digest == _digest(token), LINKS.c.expires_at > now))
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def use_link(self, token: str, password: str, actor: Actor, now: float) -> None:
        """Sets the admin's password and ends the link. BadParameter, Forbidden."""
        hashed = self._hasher.hash(checked_password(password))
        used = and_(LINKS.c.digest == _digest(token), LINKS.c.expires_at > now)
        with self._database.write() as connection:
            if connection.execute(delete(LINKS).where(used)).rowcount != 1:
                raise Forbidden("This link was used or is too old; `python -m gateway.keys console-link` makes another")
            _store(connection, ADMIN, hashed, from_setting=False, now=now)
            write_entry(connection, actor, "password set", ADMIN, "by one-time link", now)

    def sign_in(self, name: str, password: str, network: str, actor: Actor, now: float) -> str:
        """The account's name. RateLimited where a try may not be looked at yet, Unauthorized for a wrong one."""
        name = name.strip()[:NAME_LENGTH_MAX]
        with self._database.write() as connection:
            self._claim(connection, name, network, now)
            stored = _hash_of(connection, name)
        # Claimed as a failure first: a hundred tries at once are one.
        right = self._verify(stored or _NOBODY, password[:PASSWORD_LENGTH_MAX]) and stored is not None
        with self._database.write() as connection:
            if right:
                self._give_back(connection, name, network, now)
            write_entry(connection, actor, "signed in" if right else "sign-in refused", name, "", now)
        if not right:
            raise Unauthorized("Wrong name or password")
        return name

    def change_password(self, name: str, old: str, new: str, network: str, actor: Actor, now: float) -> None:
        """BadParameter, Forbidden (it comes from a setting), Unauthorized, RateLimited."""
        account = self.find(name)
        if account is not None and account.from_setting:
            raise Forbidden("The password comes from FACE_API_ADMIN_PASSWORD: change it there and restart")
        checked_password(new)
        self.sign_in(name, old, network, actor, now)
        with self._database.write() as connection:
            _store(connection, name, self._hasher.hash(new), from_setting=False, now=now)
            write_entry(connection, actor, "password changed", name, "", now)

    def _claim(self, connection: Connection, name: str, network: str, now: float) -> None:
        """Takes one try: RateLimited where there is none. The account need not exist: that must not show."""
        mine, everywhere = _attempts(connection, name, network), _attempts(connection, name, EVERYWHERE)
        wait = throttle.wait_s(mine, everywhere, now)
        if wait > 0:
            seconds = int(wait) + 1
            raise RateLimited(f"Too many wrong tries; wait {seconds} seconds", seconds)
        _store_attempts(connection, name, network, throttle.after_failure(mine, now))
        _store_attempts(connection, name, EVERYWHERE, throttle.everywhere_after_failure(everywhere, now))
        old = now - throttle.FORGIVEN_AFTER_S
        connection.execute(delete(TRIES).where(and_(TRIES.c.since < old, TRIES.c.trusted_until < now)))

    def _give_back(self, connection: Connection, name: str, network: str, now: float) -> None:
        """The claimed try was no failure."""
        everywhere = _attempts(connection, name, EVERYWHERE)
        less = msgspec.structs.replace(everywhere, failures=max(0, everywhere.failures - 1))
        _store_attempts(connection, name, EVERYWHERE, less)
        _store_attempts(connection, name, network, throttle.after_success(now))

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


def checked_password(password: str) -> str:
    """BadParameter with words for the one who chooses it."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise BadParameter(f"password: must have {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")
    return password


def _hash_of(connection: Connection, name: str) -> str | None:
    return connection.execute(select(ACCOUNTS.c.password_hash).where(ACCOUNTS.c.name == name)).scalar_one_or_none()


def _store(connection: Connection, name: str, hashed: str, *, from_setting: bool, now: float) -> None:
    """A new password ends every session of the account and every link."""
    connection.execute(delete(ACCOUNTS).where(ACCOUNTS.c.name == name))
    row: dict[str, Any] = {"name": name, "password_hash": hashed, "from_setting": int(from_setting), "changed_at": now}
    connection.execute(insert(ACCOUNTS).values(**row))
    connection.execute(delete(TABLES.sessions).where(TABLES.sessions.c.account == name))
    connection.execute(delete(LINKS))


def _attempts(connection: Connection, account: str, network: str) -> Attempts:
    here = and_(TRIES.c.account == account, TRIES.c.network == network)
    row = connection.execute(select(TRIES).where(here)).mappings().first()
    if row is None:
        return Attempts()
    return Attempts(row["failures"], row["since"], row["retry_at"], row["trusted_until"])


def _store_attempts(connection: Connection, account: str, network: str, attempts: Attempts) -> None:
    here = and_(TRIES.c.account == account, TRIES.c.network == network)
    values = msgspec.structs.asdict(attempts)
    if connection.execute(update(TRIES).where(here).values(**values)).rowcount == 0:
        connection.execute(insert(TRIES).values(account=account, network=network, **values))


def _digest(token: str) -> str:
    """256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
