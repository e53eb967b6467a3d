"""`python -m deploy.wire_keys NAME [FOLDER]`: makes a pair of keys for a host that speaks to others over tcp.

NAME.key is its secret (0600), for FACE_API_WIRE_KEY_FILE; NAME.pub is for the other half's FACE_API_WIRE_PEERS.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import zmq

from gateway.stores.private_files import write_new_private
from shared.exit_codes import FAILED, OK
from shared.wire_keys import SUFFIX


def make(name: str, folder: Path) -> tuple[Path, Path]:
    """Paths of the secret and of the public key. Raises FileExistsError: no key is ever written over."""
    public, secret = (key.decode() for key in zmq.curve_keypair())
    secret_path, public_path = folder / f"{name}.key", folder / f"{name}{SUFFIX}"
    if public_path.exists() or not write_new_private(secret_path, f"{secret}\n"):
        raise FileExistsError(f"{secret_path} or {public_path} exists; choose another name, or remove both")
    public_path.write_text(f"{public} {name}\n", encoding="utf-8")
    return secret_path, public_path


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.wire_keys", description=__doc__)
    parser.add_argument("name", help="of the host or the group of hosts that has it")
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    options = parser.parse_args(arguments)
    try:
        secret, public = make(options.name, options.folder)
    except OSError as error:
        print(f"no keys made: {error}", file=sys.stderr)
        return FAILED
    print(
        f"{secret}  secret: FACE_API_WIRE_KEY_FILE of this host",
        f"{public}  for FACE_API_WIRE_PEERS of the other half",
        sep="\n",
    )
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
