"""What an API key looks like: `xyl_`, 56 random hex digits, 8 of checksum. Pure.

It alone knows the checksum, the pattern for secret scanners, and how much of a key may be shown.
"""

from __future__ import annotations

import re
import secrets
import zlib

PREFIX = "xyl_"
RANDOM_DIGITS = 56  # 224 bits: no guess, so a keyed hash needs no slow derivation
CHECKSUM_DIGITS = 8
# Published for secret scanners; the checksum then tells a real key from a look-alike.
KEY_PATTERN = r"\bxyl_[0-9a-f]{64}\b"

_SHAPE = re.compile(rb"xyl_[0-9a-f]{64}")
# Wider than KEY_PATTERN, so that cut, damaged or shouted keys are hidden too.
_LOOSE = re.compile(r"(xyl_[0-9a-f]{6})[0-9a-f]{6,}", re.IGNORECASE)


def new_key() -> str:
    """A key that nobody has seen."""
    body = PREFIX + secrets.token_hex(RANDOM_DIGITS // 2)
    return body + _checksum(body.encode("ascii")).decode("ascii")


def well_formed(key: bytes) -> bool:
    """Whether shape and checksum fit: a typing mistake is refused without asking any store."""
    return _SHAPE.fullmatch(key) is not None and key[-CHECKSUM_DIGITS:] == _checksum(key[:-CHECKSUM_DIGITS])


def hint(key: str) -> str:
    """The part that may be shown and stored in clear: `xyl_a1b2c3`."""
    return key[: len(PREFIX) + 6]


def redact(text: str) -> str:
    """The text with every key in it cut to its hint."""
    return _LOOSE.sub(r"\1…", text)


def _checksum(body: bytes) -> bytes:
    """CRC-32 (zlib's polynomial) as 8 hex digits."""
    return b"%08x" % zlib.crc32(body)
