"""How a start comes to its key store and to the peppers that belong to it. Blocking.

It alone decides whether a missing pepper is made or missed.
"""

from __future__ import annotations

import time
from pathlib import Path

from gateway.keys.pepper import FILE_NAME, Peppers, load_peppers
from gateway.keys.store import Store
from gateway.stores.database import open_database
from shared.errors import ConfigurationError, StoreDown
from shared.settings import Settings


def open_store(settings: Settings) -> Store:
    """The key store of the settings. Connects to nothing yet. ConfigurationError."""
    return Store(open_database(settings), max_keys=settings.max_keys, audit_keep=settings.audit_keep)


def peppers_for(settings: Settings, store: Store) -> Peppers:
    """The peppers of this host, made where there were never keys. ConfigurationError for another store's."""
    used: dict[str, int] = {}
    down: StoreDown | None = None
    try:
        store.database.prepare()
        used = store.peppers_in_use(time.time())
    except StoreDown as error:
        down = error
    # After the store: whoever makes the first key writes the pepper first, so a key seen means a file to be seen.
    peppers = load_peppers(settings, make=False)
    if peppers is None and down is not None and settings.database_url:
        raise ConfigurationError(
            f"{down}. Without it nobody knows which pepper its keys were hashed with: start the database, "
            "or set FACE_API_KEY_PEPPER"
        )
    if peppers is None:
        # Read again even where there are keys: another process of this host may just have made both.
        peppers = load_peppers(settings, make=not used)
    if peppers is None or (used and not set(used) & set(peppers.names)):
        raise ConfigurationError(
            f"the {sum(used.values())} keys of this store were hashed with another pepper: set FACE_API_KEY_PEPPER to "
            f"it, or bring back {Path(settings.data_dir) / FILE_NAME} of the host that made them"
        )
    return peppers
