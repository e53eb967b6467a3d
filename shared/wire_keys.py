"""Keys of the wire between hosts (CURVE, RFC 26/ZAP): what a key is, and where the other side's are read.

A key is 40 characters of Z85. A host has one secret key; of the other side it knows public keys, each with a name:

    NAME.pub    one line, `KEY NAME`, in a folder; or many such lines in one file
"""

from __future__ import annotations

from pathlib import Path

from shared.errors import ConfigurationError

KEY_LENGTH = 40
#: Domain of ZAP, which a handler must compare: what is allowed here is allowed for this alone.
DOMAIN = b"face-api"
SUFFIX = ".pub"
#: Of a key's characters: 100 bits, too many to make another key with.
MARK_LENGTH = 16
#: Keys that are read of one side.
PEERS_MAX = 10_000
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_CHUNK = 5


def problem(key: str) -> str:
    """Why a text is no key; empty for one that is."""
    if len(key) != KEY_LENGTH:
        return f"has {len(key)} characters where a key has {KEY_LENGTH}"
    if not set(key) <= set(_ALPHABET):
        return "has characters that no key has"
    chunks = (key[start : start + _CHUNK] for start in range(0, KEY_LENGTH, _CHUNK))
    return "is no key" if any(_number(chunk) >= 1 << 32 for chunk in chunks) else ""


def shown(key: str) -> str:
    """So much of a public key that people can find it in a file."""
    return f"{key[:8]}…"


def mark(key: str) -> str:
    """With what every name begins that the owner of this public key has on the wire: nobody else's begins so."""
    return key[:MARK_LENGTH]


def read_peers(path: Path) -> dict[str, str]:
    """Names by public key, from a file or from every *.pub of a folder. Raises ConfigurationError with the mend."""
    try:
        files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        lines = [(file, line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"FACE_API_WIRE_PEERS={path}: cannot be read ({error})") from None
    found = dict(_peer(file, line) for file, line in lines if line.strip())
    if not 0 < len(found) <= PEERS_MAX:
        raise ConfigurationError(
            f"FACE_API_WIRE_PEERS={path}: holds {len(found)} public keys, must hold 1 to {PEERS_MAX}; "
            f"put the other side's NAME{SUFFIX} there"
        )
    return found


def _peer(file: Path, line: str) -> tuple[str, str]:
    key, _, name = line.strip().partition(" ")
    if wrong := problem(key):
        raise ConfigurationError(
            f"FACE_API_WIRE_PEERS: a public key in {file} {wrong}; `python -m deploy.wire_keys NAME` makes a pair"
        )
    return key, name.strip() or file.stem


def _number(chunk: str) -> int:
    value = 0
    for character in chunk:
        value = value * len(_ALPHABET) + _ALPHABET.index(character)
    return value
