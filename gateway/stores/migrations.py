"""How the key store came to its present shape: numbered steps, each run once.

It alone changes the schema. A step that was released is never edited; a new one is added below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from shared.errors import ConfigurationError


class Migration(NamedTuple):
    """SQL that SQLite and PostgreSQL both understand."""

    name: str
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "keys, use, audit, console",
        (
            """CREATE TABLE api_keys (
                id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, pepper TEXT NOT NULL, hint TEXT NOT NULL,
                name TEXT NOT NULL, scopes TEXT NOT NULL, detect_limit BIGINT, mask_limit BIGINT,
                created_at DOUBLE PRECISION NOT NULL, created_by TEXT NOT NULL, expires_at DOUBLE PRECISION,
                revoked_at DOUBLE PRECISION, last_used_at DOUBLE PRECISION, replaced_by TEXT,
                version BIGINT NOT NULL)""",
            "CREATE INDEX api_keys_version ON api_keys (version)",
            """CREATE TABLE key_use (
                key_id TEXT NOT NULL, day TEXT NOT NULL, requests BIGINT NOT NULL, errors BIGINT NOT NULL,
                PRIMARY KEY (key_id, day))""",
            """CREATE TABLE audit (
                id TEXT PRIMARY KEY, at DOUBLE PRECISION NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
                subject TEXT NOT NULL, detail TEXT NOT NULL, address TEXT NOT NULL)""",
            """CREATE TABLE accounts (
                name TEXT PRIMARY KEY, password_hash TEXT NOT NULL, from_setting BIGINT NOT NULL,
                changed_at DOUBLE PRECISION NOT NULL)""",
            """CREATE TABLE sessions (
                digest TEXT PRIMARY KEY, id TEXT NOT NULL, account TEXT NOT NULL, made_at DOUBLE PRECISION NOT NULL,
                seen_at DOUBLE PRECISION NOT NULL, expires_at DOUBLE PRECISION NOT NULL, address TEXT NOT NULL,
                agent TEXT NOT NULL)""",
            """CREATE TABLE links (
                digest TEXT PRIMARY KEY, made_at DOUBLE PRECISION NOT NULL, expires_at DOUBLE PRECISION NOT NULL)""",
            """CREATE TABLE attempts (
                account TEXT NOT NULL, network TEXT NOT NULL, failures BIGINT NOT NULL,
                since DOUBLE PRECISION NOT NULL, retry_at DOUBLE PRECISION NOT NULL,
                trusted_until DOUBLE PRECISION NOT NULL, PRIMARY KEY (account, network))""",
            "INSERT INTO meta (name, text, number) VALUES ('keys_version', NULL, 0)",
        ),
    ),
    Migration(
        "jobs",
        (
            """CREATE TABLE jobs (
                id TEXT PRIMARY KEY, key_id TEXT NOT NULL, request_id TEXT NOT NULL, endpoint TEXT NOT NULL,
                state TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL, expires_at DOUBLE PRECISION NOT NULL,
                model TEXT NOT NULL, parameters TEXT NOT NULL, width BIGINT NOT NULL, height BIGINT NOT NULL,
                faces BIGINT NOT NULL, masked BIGINT, boxes TEXT NOT NULL, bytes_in BIGINT NOT NULL,
                bytes_out BIGINT NOT NULL, sha256_in TEXT NOT NULL, sha256_out TEXT NOT NULL)""",
            "CREATE INDEX jobs_of_key ON jobs (key_id, id)",
            "CREATE INDEX jobs_expiring ON jobs (expires_at)",
        ),
    ),
    Migration(
        "images",
        (
            "ALTER TABLE jobs ADD COLUMN image_id TEXT",
            """CREATE TABLE images (
                id TEXT PRIMARY KEY, key_id TEXT NOT NULL, job_id TEXT NOT NULL, state TEXT NOT NULL,
                object TEXT NOT NULL, media_type TEXT NOT NULL, width BIGINT NOT NULL, height BIGINT NOT NULL,
                bytes BIGINT NOT NULL, sha256 TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL,
                expires_at DOUBLE PRECISION NOT NULL, due_at DOUBLE PRECISION NOT NULL)""",
            "CREATE INDEX images_of_key ON images (key_id, id)",
            "CREATE INDEX images_due ON images (due_at)",
            "CREATE UNIQUE INDEX images_by_object ON images (object)",
            "CREATE UNIQUE INDEX images_of_job ON images (job_id)",
            "INSERT INTO meta (name, text, number) VALUES ('storage', NULL, 0)",
        ),
    ),
    Migration(
        "requests that are done once",
        (
            """CREATE TABLE once (
                name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, holder TEXT NOT NULL,
                until DOUBLE PRECISION NOT NULL, job_id TEXT, answer TEXT)""",
            "CREATE INDEX once_of_job ON once (job_id)",
            "CREATE INDEX once_until ON once (until)",
        ),
    ),
    Migration("how long a key's records are kept", ("ALTER TABLE api_keys ADD COLUMN records_ttl DOUBLE PRECISION",)),
    Migration(
        "originals",
        (
            "ALTER TABLE jobs ADD COLUMN original_id TEXT",
            "ALTER TABLE images ADD COLUMN kind TEXT NOT NULL DEFAULT 'masked'",
            "DROP INDEX images_of_job",
            "CREATE UNIQUE INDEX images_of_job ON images (job_id, kind)",
        ),
    ),
)


def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Runs the steps that this database has not had, in the caller's write transaction, alone; how many there were.

    ConfigurationError where the database was made by a newer version of this program.
    """
    done = schema_version(connection)
    if done > len(migrations):
        raise ConfigurationError(
            f"the key store has schema {done}, this program knows {len(migrations)}: it was made by a newer version; "
            "start that one, or give FACE_API_DATABASE_URL or FACE_API_DATA_DIR another store"
        )
    if done == 0:
        connection.execute(text("CREATE TABLE meta (name TEXT PRIMARY KEY, text TEXT, number BIGINT)"))
        connection.execute(text("INSERT INTO meta (name, text, number) VALUES ('schema', NULL, 0)"))
    for migration in migrations[done:]:
        for statement in migration.statements:
            connection.execute(text(statement))
    if done < len(migrations):
        connection.execute(text("UPDATE meta SET number = :n WHERE name = 'schema'"), {"n": len(migrations)})
    return len(migrations) - done


def schema_version(connection: Connection) -> int:
    """How many steps this database has had; 0 for an empty one."""
    if not connection.dialect.has_table(connection, "meta"):
        return 0
    return int(connection.execute(text("SELECT number FROM meta WHERE name = 'schema'")).scalar_one())
