"""Where TensorRT's engines are kept: a folder per network, built by one process at a time, only the latest few.

onnxruntime names engines by the graph's names, not its weights or shapes (onnxruntime #6455, #32254), so that
networks of one architecture would be given each other's engines; hence a folder per sum of the whole file.

<data_dir>/cache-tensorrt/<sum>/…      <data_dir>/cache-tensorrt/lock
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import ConfigurationError

#: Networks whose engines are kept; the least recently used go first.
ENTRIES_MAX = 8


def engine_folder(data_dir: Path, network: bytes, version: str) -> Path:
    """Of a network's engines. version: of onnxruntime; TensorRT's own and the card's are in the files' names."""
    key = hashlib.sha256(version.encode() + b"\n" + network).hexdigest()[:32]
    return data_dir / "cache-tensorrt" / key


@contextmanager
def building(folder: Path) -> Iterator[None]:
    """While inside, no other process builds engines on this host. Raises ConfigurationError where none can be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.touch()
        lock = (folder.parent / "lock").open("w")
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: cannot be written ({error.strerror}); set FACE_API_DATA_DIR to a folder that can"
        ) from error
    with lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        _prune(folder)
        yield


def _prune(keep: Path) -> None:
    others = [other for other in keep.parent.iterdir() if other.is_dir() and other != keep]
    latest = sorted(others, key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in latest[ENTRIES_MAX - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
