"""Short transactions on the key store's database, SQLite or PostgreSQL. Blocking: the gateway calls it in threads.

It alone knows URLs, pools and time limits; whatever a database does wrong leaves here as StoreDown.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.stores.key_format import redact
from gateway.stores.migrations import MIGRATIONS, migrate, schema_version
from gateway.stores.sqlite_files import SQLITE_MIN, make_sqlite_file
from shared.errors import ConfigurationError, StoreDown
from shared.settings import Settings

FILE_NAME = "keys.sqlite"
WRITING = "BEGIN IMMEDIATE"
# Any fixed number will do: it only has to differ from other applications' in the same database.
ADVISORY_LOCK = 0x78796C5F
BUSY_WAIT_S = 2.0
STATEMENT_LIMIT_MS = 3000
CONNECT_LIMIT_S = 2


class Database:
    """`read()` and `write()` give a connection inside one transaction."""

    def __init__(
        self, engine: Engine, sqlite_file: Path | None, kept: Engine | None = None, *, read_only: bool = False
    ) -> None:
        """kept: the same database by connections that stay open; none where those of `engine` do."""
        self._engine, self._kept = engine, kept or engine
        self._closed = False
        self._file, self._read_only = sqlite_file, read_only
        self._log = logging.getLogger("face_api.keys")

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *, alone: bool = True, often: bool = False) -> Iterator[Connection]:
        """One writer at a time, on both databases: what a writer reads stays true until it is done.

        alone: False for rows that no other writer is told of; PostgreSQL then lets others write beside it. often: who
        writes again and again leaves its connection open, until `rest`.
        """
        # IMMEDIATE takes SQLite's write lock at once: a lock taken later could not wait for another writer.
        with self._transaction(WRITING, alone=alone, often=often) as connection:
            yield connection

    def prepare(self) -> None:
        """Makes the file and the tables, or brings them up to date. StoreDown, ConfigurationError."""
        if self._file is not None and not self._read_only and not self._file.exists():
            _make_file(self._file)
        with self.read() as connection:
            current = schema_version(connection)
        if current == len(MIGRATIONS):
            return  # without a write, so that a read-only store still serves
        with self.write() as connection:
            migrate(connection)

    @property
    def files(self) -> tuple[Path, ...]:
        """Which change whenever anything is written; none where the database is no file."""
        return () if self._file is None else (self._file, self._file.with_name(self._file.name + "-wal"))

    def rest(self) -> None:
        """Closes what `often` left open on SQLite: a store that is idle is its file alone, without a log beside it."""
        if self._kept is not self._engine:
            self._kept.dispose()

    def close(self) -> None:
        self._closed = True
        self._engine.dispose()
        self.rest()

    @contextlib.contextmanager
    def _transaction(self, begin: str, *, alone: bool = True, often: bool = False) -> Iterator[Connection]:
        engine = self._kept if often else self._engine
        pool = engine.pool
        try:
            options = {"begin": begin, "alone": alone}
            with engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            if often:
                self.rest()  # whatever is the matter with a connection that stayed open ends with it
            raise self._down(error) from error
        finally:
            if self._closed:
                pool.dispose()  # a connection that comes back now is nobody's

    def _down(self, error: Exception) -> StoreDown:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        self._log.debug("key store: %s", redact(str(cause)))
        words = "The key store is read-only" if _read_only(cause) else "The key store cannot be reached"
        return StoreDown(words)


def open_database(settings: Settings) -> Database:
    """The store that the settings name. Connects to nothing yet. ConfigurationError for a URL that cannot be."""
    if not settings.database_url:
        path = Path(settings.data_dir).absolute() / FILE_NAME
        return _sqlite_database(path, "rw")
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError("FACE_API_DATABASE_URL is no database URL; write postgresql://…") from error
    if url.get_backend_name() == "sqlite":
        return _sqlite_by_url(url)
    return Database(_postgres_engine(url), None)


def _sqlite_by_url(url: URL) -> Database:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("FACE_API_DATABASE_URL: a SQLite store needs a file, sqlite:////srv/keys.sqlite")
    path, mode = Path(url.database).absolute(), str(url.query.get("mode", "rw"))
    if mode not in {"rw", "ro"}:
        raise ConfigurationError("FACE_API_DATABASE_URL: mode is rw or ro")
    return _sqlite_database(path, mode)


def _make_file(path: Path) -> None:
    try:
        make_sqlite_file(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreDown(f"The key store {path} cannot be made ({error})") from error


def _sqlite_database(path: Path, mode: str) -> Database:
    """A connection per transaction, at 0.5 ms each, but for who writes often."""
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        raise ConfigurationError(
            f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed; use a newer Python"
        )
    address = f"file:{quote(str(path))}?mode={mode}"  # never rwc: an empty file in place of a lost one would hide it

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_WAIT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous=FULL")  # a revocation must survive a power cut
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    kept = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    event.listen(kept, "checkout", partial(_refuse_another_file, path))
    for each in (engine, kept):
        event.listen(each, "begin", _begin_sqlite)
    return Database(engine, path, kept, read_only=mode == "ro")


def _refuse_another_file(path: Path, _connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    """A connection that stayed open is to the file that had its name then, which may be removed or replaced since."""
    try:
        found = path.stat()
    except OSError:
        raise DisconnectionError from None  # a new connection tells what is the matter
    if record.info.setdefault("file", (found.st_dev, found.st_ino)) != (found.st_dev, found.st_ino):
        raise DisconnectionError


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _postgres_engine(url: URL) -> Engine:
    connect_args: dict[str, Any] = {
        "connect_timeout": CONNECT_LIMIT_S,
        "application_name": "face-api",
        "prepare_threshold": None,  # prepared statements break behind a pooler in transaction mode
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 5000,
    }
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=connect_args,
        pool_size=2,
        max_overflow=2,
        pool_timeout=CONNECT_LIMIT_S,
        pool_pre_ping=True,
        pool_recycle=300,
    )
    event.listen(engine, "begin", _begin_postgres)
    return engine


def _begin_postgres(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("begin") != WRITING:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))  # what is read is of one moment
    # LOCAL: behind a pooler the next user of this server connection must not inherit it.
    connection.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_LIMIT_MS}"))
    connection.execute(text(f"SET LOCAL lock_timeout = {STATEMENT_LIMIT_MS}"))
    if options.get("begin") == WRITING and options.get("alone"):
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))


def _read_only(cause: BaseException) -> bool:
    words = str(cause).lower()
    return "readonly" in words or "read-only" in words
