"""FACE_API_STORAGE_URL: which storage it means. Connects to nothing."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

from gateway.stores.folder_objects import open_folder
from gateway.stores.objects import Objects
from shared.errors import ConfigurationError
from shared.settings import Settings

_MEND = "write file:///srv/pictures or s3://bucket/prefix"


def open_objects(settings: Settings) -> Objects | None:
    """None where no pictures are kept. ConfigurationError for a URL that cannot be, or a folder that cannot be used."""
    if not settings.storage_url:
        if settings.storage_originals:
            raise ConfigurationError(f"FACE_API_STORAGE_ORIGINALS=true wants FACE_API_STORAGE_URL: {_MEND}")
        return None
    parts = _split(settings.storage_url)
    path = PurePosixPath(unquote(parts.path))
    if parts.scheme == "file":
        if parts.netloc or not path.is_absolute():
            raise _wrong(settings.storage_url, "a folder has an absolute path after two slashes")
        if settings.storage_encryption != "off":
            raise ConfigurationError("FACE_API_STORAGE_ENCRYPTION is for s3://…; encrypt the folder's disk instead")
        return open_folder(str(path))
    from gateway.stores.s3_objects import S3Objects  # 15 MB that a folder needs not

    return S3Objects(parts.netloc, str(path).strip("/"), settings.storage_encryption)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _wrong(url, "it is no URL") from None
    if "@" in parts.netloc:
        raise ConfigurationError(
            "FACE_API_STORAGE_URL: no credentials in the URL; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if parts.scheme not in {"file", "s3"}:
        raise _wrong(url, "it begins with file:// or s3://")
    if parts.query or parts.fragment or ".." in parts.path.split("/"):
        raise _wrong(url, "it has neither ?…, #… nor ..")
    if parts.scheme == "s3" and not parts.netloc:
        raise _wrong(url, "the bucket is missing")
    return parts


def _wrong(url: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"FACE_API_STORAGE_URL={url}: {why}; {_MEND}")
