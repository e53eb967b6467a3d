"""Objects in an S3 bucket, through obstore.

Credentials, region and endpoint come from the environment variables of AWS's own tools, or from the machine; names
under one prefix. Puts are conditional (If-None-Match), and never in parts: what is cut off leaves nothing.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from gateway.stores.objects import ListedObject
from shared.errors import ConfigurationError, StorageDown, StorageRefused

#: One request, its tries again among them; well below the time after which a half-done picture is given up.
TRY_S, CONNECT_S, TRIES_S = 10, 2, 15
_LISTED_TOGETHER = 1000


class S3Objects:
    """encryption: as S3 names it, or `off`."""

    def __init__(self, bucket: str, prefix: str, encryption: str) -> None:
        self.place = f"s3://{bucket}/{prefix}".rstrip("/")
        config: Any = {} if encryption == "off" else {"server_side_encryption": encryption}
        try:
            self._store = S3Store(
                bucket,
                prefix=prefix or None,
                config=config,
                client_options={
                    "allow_http": True,  # where the endpoint says so
                    "timeout": timedelta(seconds=TRY_S),
                    "connect_timeout": timedelta(seconds=CONNECT_S),
                },
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=TRIES_S)},
            )
        except BaseError as error:
            raise ConfigurationError(
                f"FACE_API_STORAGE_URL={self.place}: {_first_line(error)}; look at the AWS_… variables"
            ) from None

    def put(self, name: str, data: bytes | bytearray | memoryview, media_type: str) -> None:
        with _told(self.place):
            obstore.put(
                self._store, name, data, mode="create", use_multipart=False, attributes={"Content-Type": media_type}
            )

    def read(self, name: str) -> bytes | None:
        with _told(self.place), contextlib.suppress(FileNotFoundError):
            return bytes(obstore.get(self._store, name).bytes())
        return None

    def delete(self, names: Sequence[str]) -> None:
        with _told(self.place):
            obstore.delete(self._store, list(names))

    def found(self) -> Iterator[ListedObject]:
        with _told(self.place):
            for page in obstore.list(self._store, chunk_size=_LISTED_TOGETHER):
                for each in page:
                    yield ListedObject(each["path"], each["last_modified"].timestamp())

    def url(self, name: str, seconds: int) -> str | None:
        with _told(self.place):
            return obstore.sign(self._store, "GET", name, timedelta(seconds=seconds))


@contextlib.contextmanager
def _told(place: str) -> Iterator[None]:
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StorageRefused(f"The storage {place} refuses the credentials: {_code(error)}") from error
    except FileNotFoundError as error:  # of a put: the bucket is meant
        raise StorageRefused(f"There is no storage at {place}: {_code(error)}") from error
    except BaseError as error:
        logging.getLogger("face_api.storage").debug("storage: %s", _first_line(error))
        raise StorageDown from error


def _code(error: Exception) -> str:
    """What S3 calls it, such as SignatureDoesNotMatch."""
    return str(error).partition("<Code>")[2].partition("</Code>")[0][:60] or type(error).__name__


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
