"""Files and folders that only their owner may read: 0600 and 0700 from the moment they exist.

What was written stays after a power cut: a pepper lost is every key lost.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

Content = str | bytes | bytearray | memoryview


def make_private_folder(path: Path) -> None:
    """Makes the folder with mode 0700; one that exists is left as it is (a mounted volume keeps its mode)."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_new_private(path: Path, content: Content) -> bool:
    """Writes a 0600 file whole or not at all; False where the name is taken already: the first writer wins."""
    with private_temporary(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    keep_names(path.parent)
    return True


def write_private(path: Path, content: Content) -> None:
    """Writes a 0600 file whole or not at all, over what stood there."""
    with private_temporary(path, content) as temporary:
        temporary.replace(path)
    keep_names(path.parent)


@contextlib.contextmanager
def private_temporary(path: Path, content: Content) -> Iterator[Path]:
    """A 0600 file with the content beside `path`, gone afterwards unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def keep_names(folder: Path) -> None:
    """Puts the folder's names on the disk: the file's own are of no use without its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
