"""Pulls a known model into a folder: its sources in turn, out of a zip where it is in one, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from models.catalogue.choose import FILE_BYTES_MAX
from models.catalogue.fetch import CHUNK, Arrived, Limits, fetch, sha256_of
from models.catalogue.registry import ModelSpec, Source
from shared.errors import DownloadError


def pull(spec: ModelSpec, folder: Path, told: Callable[[str], None], arrived: Arrived, limits: Limits) -> Path:
    """The model's file in `folder`, downloaded unless a right one is there. Raises DownloadError.

    told: a line of words for each step. arrived: called with (bytes so far, bytes in all) while they come.
    """
    place = folder / spec.file_names[0]
    if is_right(spec, place):
        told(f"{place} is there already" + (", and its sum is right" if spec.sha256 else ""))
        return place
    if not spec.sources:
        raise DownloadError(f"{spec.name} is published nowhere this project knows of; copy its file to {place}")
    failures = []
    for source in spec.sources:
        told(f"downloading {source.url}")
        try:
            _from_source(spec, source, place, arrived, limits)
        except (DownloadError, OSError) as error:
            failures.append(str(error))
            told(f"failed: {error}")
        else:
            told(f"verified and saved as {place}")
            return place
    raise DownloadError("\n".join([f"{spec.name} could not be pulled:", *failures]))


def is_right(spec: ModelSpec, place: Path) -> bool:
    """Whether the file is there with the published sum; where none is published, whether it is there."""
    return place.is_file() and (not spec.sha256 or sha256_of(place) == spec.sha256)


def _from_source(spec: ModelSpec, source: Source, place: Path, arrived: Arrived, limits: Limits) -> None:
    within = replace(limits, bytes_max=source.size) if source.size else limits
    if not source.member:
        fetch(source.url, source.sha256, place, arrived, within)
        return
    archive = place.with_name(f".{place.name}.zip")
    fetch(source.url, source.sha256, archive, arrived, within)
    try:
        extract(archive, source.member, place, spec.sha256)
    finally:
        archive.unlink()


def extract(archive: Path, member: str, place: Path, sha256: str) -> None:
    """One file out of a zip, in whichever folder it lies there, to `place`. Raises DownloadError."""
    descriptor, name = tempfile.mkstemp(prefix=".extracting-", dir=place.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(archive) as files:
            entries = [entry for entry in files.infolist() if entry.filename.rsplit("/", 1)[-1] == member]
            if len(entries) != 1:
                raise DownloadError(f"the zip holds {len(entries)} files named {member} where one belongs")
            with files.open(entries[0]) as packed:
                _copy(packed, file, member)
            file.flush()
            os.fsync(file.fileno())
        if sha256 and sha256_of(fresh) != sha256:
            raise DownloadError(f"{member} in the zip is not the published file")
        # As any file of the user's: mkstemp makes it private.
        fresh.chmod(0o644)
        fresh.replace(place)
    except (zipfile.BadZipFile, RuntimeError, EOFError) as error:
        raise DownloadError(f"the zip cannot be read: {error}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()


def _copy(packed: IO[bytes], file: IO[bytes], member: str) -> None:
    """Bounded by what really comes out, whatever the zip announces."""
    while chunk := packed.read(CHUNK):
        file.write(chunk)
        if file.tell() > FILE_BYTES_MAX:
            raise DownloadError(f"{member} in the zip is larger than {FILE_BYTES_MAX} bytes")
