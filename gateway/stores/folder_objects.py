"""Objects in a folder: a file each, that only this user may read.

Not through obstore, whose folders hide what a killed put leaves behind, sync nothing to the disk and make files that
others may read.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.stores.objects import MARK, ListedObject
from gateway.stores.private_files import keep_names, make_private_folder, write_new_private
from shared.errors import ConfigurationError, StorageDown

_FULL = {errno.ENOSPC, errno.EDQUOT}


class FolderObjects:
    """folder: absolute."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = f"file://{folder}"

    def put(self, name: str, data: bytes | bytearray | memoryview, media_type: str) -> None:  # noqa: ARG002 — files have none
        with _told():
            if name != MARK and not (self._folder / MARK).exists():  # 3 µs, and a disk that is gone fills no other
                raise StorageDown(f"The folder of pictures has no {MARK} any more: mount its disk again")
            if not write_new_private(self._folder / name, data):
                raise StorageDown("The storage of pictures has this name already")

    def read(self, name: str) -> bytes | None:
        with _told(), contextlib.suppress(FileNotFoundError):
            return (self._folder / name).read_bytes()
        return None

    def delete(self, names: Sequence[str]) -> None:
        with _told():
            for name in names:
                (self._folder / name).unlink(missing_ok=True)
            keep_names(self._folder)

    def found(self) -> Iterator[ListedObject]:
        with _told(), os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # deleted a moment ago
                    yield ListedObject(entry.name, entry.stat(follow_symlinks=False).st_mtime)

    def url(self, name: str, seconds: int) -> str | None:  # noqa: ARG002 — for buckets
        return None


def open_folder(path: str) -> FolderObjects:
    """Made where it is missing. ConfigurationError where it cannot be, or not be written."""
    folder = Path(path)
    try:
        make_private_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno not in _FULL:
            raise ConfigurationError(
                f"FACE_API_STORAGE_URL: the folder {folder} cannot be made or written ({error.strerror}); "
                "give it to the user that runs the service, or name another"
            ) from None
    return FolderObjects(folder)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:  # of the folder itself
        raise StorageDown("The folder of pictures is gone") from error
    except OSError as error:
        logging.getLogger("face_api.storage").debug("storage: %s", error)
        words = "The storage of pictures is full" if error.errno in _FULL else "The storage of pictures cannot be used"
        raise StorageDown(words) from error
