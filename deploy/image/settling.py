"""Takes out of an image what chance put in: buildah writes the name of its own container into Docker's format.

OCI's format has no such name, but no health check either.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import msgspec

MANIFEST = "manifest.json"


def settle(name: str, folder: Path) -> None:
    """Puts the image of that name back as any machine would have made it. folder: an empty one, for its parts."""
    _said("buildah", "push", "--quiet", name, f"dir:{folder}")
    settle_parts(folder)
    _said("podman", "rmi", name)
    _said("podman", "tag", _said("podman", "pull", "--quiet", f"dir:{folder}"), name)


def settle_parts(folder: Path) -> None:
    """The same in a folder of an image's parts, each named by its sum."""
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
    told = folder / manifest["config"]["digest"].removeprefix("sha256:")
    config = msgspec.json.encode(without_chance(msgspec.json.decode(told.read_bytes())))
    told.unlink()
    digest = hashlib.sha256(config).hexdigest()
    (folder / digest).write_bytes(config)
    manifest["config"] |= {"digest": f"sha256:{digest}", "size": len(config)}
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def without_chance(config: dict[str, Any]) -> dict[str, Any]:
    """Docker's description of an image, without the container that it was made in."""
    kept = {name: value for name, value in config.items() if name not in ("container", "container_config")}
    return kept | {"config": config["config"] | {"Hostname": ""}}


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
