"""The very first start: pepper, tables, one key and a way into the console. Blocking.

It alone decides when a first key and a one-time link are made, and where they are put for their owner.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import msgspec

from gateway.keys.audit import Actor
from gateway.keys.opening import open_store, peppers_for
from gateway.keys.pepper import Peppers
from gateway.keys.records import Draft
from gateway.keys.store import Store
from gateway.people.accounts import Accounts
from gateway.records.storage_mark import check_storage
from gateway.stores.key_format import well_formed
from gateway.stores.private_files import make_private_folder, write_private
from shared.errors import StoreDown
from shared.settings import Settings

KEY_FILE, LINK_FILE = "first-key.txt", "console-link.txt"
KEY_FILE_BYTES_MAX = 1000
LINK_PATH = "/console/welcome?token="
ACTOR = Actor("first start")


class FirstKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a start has to hand over, shown once: on a terminal in clear, else in 0600 files whose paths are told.

    None where nothing was made. `admin_link` is a path with its token, `/console/welcome?token=…`. `kept`: the file
    that an earlier start put the first key into, while it is there and its key may still detect.
    """

    plaintext: str | None = None
    path: str | None = None
    kept: str | None = None
    admin_link: str | None = None
    link_path: str | None = None


def prepare_first_start(settings: Settings, *, terminal: bool | None = None) -> FirstKey:
    """Makes what is missing, once, however many processes call it; before the gateway processes start.

    A store that is down stops nothing: the service starts without what would have been made, and says so.
    ConfigurationError where it must not start.
    """
    terminal = sys.stdout.isatty() if terminal is None else terminal
    shown = _Shown(settings, terminal=terminal)
    store = open_store(settings)
    try:
        _first_key(settings, store, shown)
        _console_link(settings, store, shown)
        check_storage(settings, store.database)
    except StoreDown as error:
        logging.getLogger("face_api.keys").error("%s; the first start is not complete", error)
    finally:
        store.database.close()
    return shown.result


class _Shown:
    """Hands secrets over to whoever starts the service."""

    def __init__(self, settings: Settings, *, terminal: bool) -> None:
        self._settings, self._terminal = settings, terminal
        self.result = FirstKey()

    def key(self, key: str) -> None:
        found = {"plaintext": key} if self._terminal else {"path": _put_aside(self._settings, KEY_FILE, key)}
        self.result = msgspec.structs.replace(self.result, **found)

    def kept(self, path: Path) -> None:
        self.result = msgspec.structs.replace(self.result, kept=str(path))

    def link(self, link: str) -> None:
        found = {"admin_link": link} if self._terminal else {"link_path": _put_aside(self._settings, LINK_FILE, link)}
        self.result = msgspec.structs.replace(self.result, **found)


def _first_key(settings: Settings, store: Store, shown: _Shown) -> None:
    peppers = peppers_for(settings, store)
    if not settings.api_key_enabled:
        return
    if not store.first_key(Draft(name="first key"), peppers, ACTOR, time.time(), hand_over=shown.key):
        peppers = peppers_for(settings, store)  # another host may just have made it under a pepper of its own
        path = (Path(settings.data_dir) / KEY_FILE).absolute()
        if _may_detect(path, store, peppers):
            shown.kept(path)


def _may_detect(path: Path, store: Store, peppers: Peppers) -> bool:
    """Whether the file holds a key of this store that may detect now."""
    try:
        with path.open("rb") as file:
            key = file.read(KEY_FILE_BYTES_MAX).strip()
    except OSError:
        return False
    record = store.find(peppers.digests(key)) if well_formed(key) else None
    return record is not None and record.state(time.time()) == "active" and "detect" in record.scopes


def _console_link(settings: Settings, store: Store, shown: _Shown) -> None:
    """A one-time link while nobody has set a password; the password of the settings where there is one."""
    if not settings.console_enabled:
        return
    accounts = Accounts(store.database)
    if settings.admin_password:
        accounts.take_setting(settings.admin_password, time.time())
    elif accounts.find() is None:
        shown.link(LINK_PATH + accounts.new_link(time.time()))


def _put_aside(settings: Settings, name: str, secret: str) -> str:
    path = (Path(settings.data_dir) / name).absolute()  # what is told works from any folder
    make_private_folder(path.parent)
    write_private(path, secret + "\n")
    return str(path)
