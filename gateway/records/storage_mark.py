"""Whose a storage is: a small object in it names the database that has its rows. Blocking.

Two databases in one folder would take each other's pictures for left-overs; a folder that is not mounted would look
like one whose pictures are gone. Both are seen here, before anything is written or deleted.
"""

from __future__ import annotations

import logging
import secrets

from sqlalchemy import Connection, text

from gateway.records import image_table
from gateway.records.storage import try_storage
from gateway.stores.database import Database
from gateway.stores.objects import MARK, Objects
from gateway.stores.storage_url import open_objects
from shared.errors import ConfigurationError, StorageDown, StorageRefused
from shared.settings import Settings


def check_storage(settings: Settings, database: Database) -> None:
    """Before a start. ConfigurationError where it must not start; one that is only down may come back. StoreDown."""
    objects = open_objects(settings)
    if objects is None:
        with database.read() as connection:
            images = image_table.count(connection)
        if images:
            logging.getLogger("face_api.storage").warning(
                "%d pictures are where FACE_API_STORAGE_URL no longer says; set it again to have them erased", images
            )
        return
    try:
        settle(database, objects)
        try_storage(objects)
    except StorageRefused as error:
        raise ConfigurationError(
            f"FACE_API_STORAGE_URL: {error.why}; look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, "
            "AWS_ENDPOINT_URL_S3 and what this key may do"
        ) from None
    except StorageDown as error:
        logging.getLogger("face_api.storage").error("%s; it is asked again until it answers", error.why)


def settle(database: Database, objects: Objects) -> None:
    """Marks a new storage as this database's. ConfigurationError where it is another's, or not the one with the
    pictures; StoreDown, StorageDown. Cheap where all is as it was.
    """
    mark = objects.read(MARK)
    if mark is not None and mark == _known(database):
        return
    with database.write() as connection:
        known, images = _named(connection), image_table.count(connection)
    if mark is None and images:
        raise ConfigurationError(
            f"FACE_API_STORAGE_URL: {objects.place} is not where the {images} pictures of this database are; name that "
            f"place again or mount it, or copy all of it, {MARK} too"
        )
    if mark is None:
        objects.put(MARK, known.encode(), "text/plain")
    elif mark != known.encode():
        raise ConfigurationError(
            f"FACE_API_STORAGE_URL: the pictures at {objects.place} belong to another database; name a place of its "
            f"own, or delete {MARK} there if they may be erased"
        )


def take_comparison(database: Database, now: float, day_s: float) -> bool:
    """Whether it is this caller's to compare rows and objects now: nobody has for a day. StoreDown."""
    late = text("UPDATE meta SET number = :now WHERE name = 'storage' AND number <= :late")
    with database.write() as connection:
        return connection.execute(late, {"now": int(now), "late": int(now - day_s)}).rowcount > 0


def _known(database: Database) -> bytes | None:
    """How this database is called in its storage; None where it had none yet."""
    with database.read() as connection:
        name = connection.execute(text("SELECT text FROM meta WHERE name = 'storage'")).scalar_one()
    return None if name is None else str(name).encode()


def _named(connection: Connection) -> str:
    """The same; it has a name from now on."""
    named = text("UPDATE meta SET text = COALESCE(text, :new) WHERE name = 'storage' RETURNING text")
    return str(connection.execute(named, {"new": secrets.token_hex(16)}).scalar_one())
