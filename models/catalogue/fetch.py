"""One file over HTTP, resumed and verified: the only code of the project that downloads.

What has arrived waits in a `.part` file; only a file of the right sum gets its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from shared.errors import DownloadError

#: (bytes so far, bytes in all or 0 where the server does not say).
Arrived = Callable[[int, int], None]

CHUNK = 256 * 1024
_AGENT = "face-api"
_PARTIAL, _COMPLETE_ALREADY = 206, 416


@dataclass(frozen=True, slots=True)
class Limits:
    """bytes_max: of one file. seconds: for one file in all. idle_s: without any byte. attempts: resumptions."""

    bytes_max: int = 1 << 30
    seconds: float = 3600.0
    idle_s: float = 30.0
    attempts: int = 5
    pause_s: float = 1.0


class WrongSum(DownloadError):
    """All bytes came, but they are not the file that was published."""


def fetch(url: str, sha256: str, place: Path, arrived: Arrived, limits: Limits) -> None:
    """Downloads `url` to `place`, continuing what an earlier call left. Raises DownloadError.

    A wrong sum after a resumption is tried once more from the first byte: the file may have changed meanwhile.
    """
    part = place.with_name(f".{place.name}.{sha256[:12]}.part")
    ends = time.monotonic() + limits.seconds
    with _only_one(part):
        resumed = part.stat().st_size > 0
        _complete(url, part, arrived, limits, ends)
        if resumed and sha256_of(part) != sha256:
            os.truncate(part, 0)
            _complete(url, part, arrived, limits, ends)
        found = sha256_of(part)
        if found != sha256:
            part.unlink()
            raise WrongSum(f"{url}: its sum is {found[:12]}… instead of {sha256[:12]}…; nothing was kept")
        part.replace(place)


@contextlib.contextmanager
def _only_one(part: Path) -> Iterator[None]:
    """Holds a lock on the part file, which it creates; a second download of the same file is refused."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadError(f"{part.parent}: another process is downloading this model; wait for it") from None
        try:
            yield
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()


def _complete(url: str, part: Path, arrived: Arrived, limits: Limits, ends: float) -> None:
    """Asks until the part file is whole; each attempt continues where the one before ended."""
    for attempt in range(1, limits.attempts + 1):
        try:
            _once(url, part, arrived, limits, ends)
            return
        except (OSError, http.client.HTTPException) as error:
            lasting = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if lasting or attempt == limits.attempts:
                raise DownloadError(f"{url}: {_words(error)}") from error
            time.sleep(min(limits.pause_s * attempt, max(0.0, ends - time.monotonic())))


def _once(url: str, part: Path, arrived: Arrived, limits: Limits, ends: float) -> None:
    have = part.stat().st_size
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = _opener().open(urllib.request.Request(url, headers=headers), timeout=limits.idle_s)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != _COMPLETE_ALREADY or not have:
            raise
        # Nothing after what is here: either it is whole, which its sum tells, or it is of another file.
        error.close()
        return
    with answer, part.open("r+b") as file:
        start = have if _continues(answer, have) else 0
        coming = answer.headers.get("Content-Length")
        total = start + int(coming) if coming else 0
        if total > limits.bytes_max:
            raise DownloadError(f"{url}: {total} bytes, more than the {limits.bytes_max} allowed")
        file.truncate(start)
        file.seek(start)
        _copy(url, answer, file, arrived, limits, ends, total)


def _copy(url: str, answer: Any, file: IO[bytes], arrived: Arrived, limits: Limits, ends: float, total: int) -> None:
    """Writes what comes, within the limits; raises OSError when less comes than was announced."""
    while chunk := answer.read1(CHUNK):
        file.write(chunk)
        here = file.tell()
        if here > limits.bytes_max:
            raise DownloadError(f"{url}: more than the {limits.bytes_max} bytes allowed")
        if time.monotonic() > ends:
            raise DownloadError(f"{url}: not complete after {limits.seconds:.0f} s; run the command again to continue")
        arrived(here, total)
    file.flush()
    os.fsync(file.fileno())
    if file.tell() < total:
        raise OSError(f"the connection ended after {file.tell()} of {total} bytes")


def _opener() -> urllib.request.OpenerDirector:
    """http and https only, redirects followed, proxies of the machine respected; no file: or ftp:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _continues(answer: Any, have: int) -> bool:
    """Whether the server really sends the rest; one without ranges sends everything again."""
    begins = f"bytes {have}-"
    return answer.status == _PARTIAL and str(answer.headers.get("Content-Range", "")).startswith(begins)


def sha256_of(path: Path) -> str:
    """The sum of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _words(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"cannot be reached ({error.reason})"
    return str(error) or type(error).__name__
