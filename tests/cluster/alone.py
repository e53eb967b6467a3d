"""A rehearsal's own machine: a process tree, a network and mounts of its own, which all end with it, however it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MARK = "REHEARSAL_ALONE"
NAMES = Path("/run/netns")


def what_lacks(*programs: str) -> str:
    """Why a rehearsal cannot be held here; empty when it can."""
    if os.geteuid() != 0:
        return "network namespaces want root"
    if missing := [name for name in ("ip", "unshare", *programs) if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)}"
    laid = "mount -t tmpfs tried /run && ip link add try1 type veth peer name try2 && ip link add try3 type bridge"
    tried = subprocess.run(["unshare", "-n", "-m", "-p", "-f", "sh", "-c", laid], capture_output=True, check=False)
    if tried.returncode:
        return f"this machine allows no network namespaces: {tried.stderr.decode(errors='replace').strip()}"
    return ""


def is_alone() -> bool:
    return MARK in os.environ


def alone(module: str, arguments: Sequence[str]) -> int:
    """Runs `python -m module` in namespaces of its own; its exit code."""
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [*unshare, sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env=os.environ | {MARK: "1"}, check=False).returncode


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def attach(name: str, address: str) -> None:
    """A machine of its own on the wire: a namespace with one network card."""
    ip("netns", "add", name)
    ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("link", "set", name, "master", "bridge", "up")
    ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
    for device in ("eth0", "lo"):
        ip("-n", name, "link", "set", device, "up")


def detach(name: str) -> None:
    """Gone at once with its card, so that another may have its name."""
    ip("link", "delete", name)
    ip("netns", "delete", name)


def inside(name: str) -> tuple[str, ...]:
    """The words before a command that is to run on that machine."""
    return ("ip", "netns", "exec", name)


def lay_the_wire(address: str) -> None:
    """The bridge to which hosts are attached; this side of it is the balancer's, at `address`/24."""
    NAMES.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "names", str(NAMES)], check=True)
    ip("link", "add", "bridge", "type", "bridge")
    ip("address", "add", f"{address}/24", "dev", "bridge")
    for device in ("bridge", "lo"):
        ip("link", "set", device, "up")
