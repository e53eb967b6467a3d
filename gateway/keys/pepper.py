"""The peppers keys are hashed with: from settings, or a 0600 file made on the first start.

It alone knows where they lie and how a digest is made. The first pepper hashes, the others are still recognised.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from pathlib import Path

from gateway.stores.private_files import make_private_folder, write_new_private, write_private
from shared.access_rules import PEPPER_LENGTH_MIN, earlier_peppers
from shared.errors import ConfigurationError
from shared.settings import Settings

FILE_NAME = "key-pepper"
PEPPERS_MAX = 5


class Peppers:
    """One to five secrets, newest first. `digests(key)` is what a store may hold of a key."""

    def __init__(self, secrets_: list[str]) -> None:
        assert 1 <= len(secrets_) <= PEPPERS_MAX
        self._secrets = [secret.encode() for secret in secrets_]
        self.names = [_name(secret) for secret in self._secrets]

    @property
    def current(self) -> str:
        """The short public name of the pepper that new keys get."""
        return self.names[0]

    def digests(self, key: bytes) -> list[str]:
        """HMAC-SHA256 in hex under each pepper, newest first."""
        return [hmac.digest(secret, key, "sha256").hex() for secret in self._secrets]

    def digest(self, key: bytes) -> str:
        return hmac.digest(self._secrets[0], key, "sha256").hex()


def pepper_files(settings: Settings) -> list[Path]:
    """Where other peppers than now may come from."""
    return [] if settings.key_pepper else [Path(settings.data_dir) / FILE_NAME]


def load_peppers(settings: Settings, *, make: bool) -> Peppers | None:
    """The peppers of the settings, else of the file; without one it is made, or None where `make` is false."""
    if settings.key_pepper:
        return _bounded([settings.key_pepper, *earlier_peppers(settings)])
    (path,) = pepper_files(settings)
    if make and not path.exists():
        make_private_folder(path.parent)
        write_new_private(path, secrets.token_hex(32) + "\n")
    try:
        lines = path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: the pepper cannot be read ({error}); keys cannot be checked") from error
    if not lines or any(len(line) < PEPPER_LENGTH_MIN for line in lines):
        raise ConfigurationError(
            f"{path}: no pepper of {PEPPER_LENGTH_MIN} characters in it; restore the file from a backup"
        )
    return _bounded(lines + earlier_peppers(settings))


def rotate_file(settings: Settings, in_use: Collection[str] = ()) -> Peppers:
    """Puts a new pepper before those of the file, and drops the oldest beyond PEPPERS_MAX.

    in_use: names of the peppers that working keys need. ConfigurationError where one of them would be dropped, or
    where a setting holds the pepper.
    """
    if settings.key_pepper:
        raise ConfigurationError(
            "the pepper comes from FACE_API_KEY_PEPPER: put a new one there and the present one "
            "into FACE_API_KEY_PEPPER_PREVIOUS"
        )
    (path,) = pepper_files(settings)
    known = path.read_text(encoding="ascii").split() if path.exists() else []
    kept, dropped = known[: PEPPERS_MAX - 1], known[PEPPERS_MAX - 1 :]
    if any(_name(secret.encode()) in in_use for secret in dropped):
        raise ConfigurationError(
            f"working keys were hashed with the oldest of {len(known)} peppers and would end with it: they move to the "
            "present one when they are used; revoke those that nobody uses"
        )
    make_private_folder(path.parent)
    write_private(path, "\n".join([secrets.token_hex(32), *kept]) + "\n")
    peppers = load_peppers(settings, make=False)
    assert peppers is not None
    return peppers


def _bounded(found: list[str]) -> Peppers:
    if len(found) > PEPPERS_MAX:
        raise ConfigurationError(f"{len(found)} peppers: at most {PEPPERS_MAX}; drop the oldest of them")
    return Peppers(found)


def _name(secret: bytes) -> str:
    """A fingerprint that says which pepper it was without saying the pepper."""
    return hmac.digest(secret, b"face-api pepper name", "sha256").hex()[:12]
