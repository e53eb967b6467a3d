"""Presence: small files by which gateway processes and the launcher know of each other on one host.

<runtime_dir>/gateways/<master>.<process>.ready    this process was ready for pictures
<runtime_dir>/gateways/<master>.replaced           another gateway has taken over from this master's processes
"""

from __future__ import annotations

from pathlib import Path

FOLDER = "gateways"


def announce(runtime_dir: Path, master: int, process: int) -> None:
    folder = runtime_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / f"{master}.{process}.ready").touch()


def withdraw(runtime_dir: Path, master: int, process: int) -> None:
    (runtime_dir / FOLDER / f"{master}.{process}.ready").unlink(missing_ok=True)


def is_ready(runtime_dir: Path, master: int) -> bool:
    """Whether any process of this master was ready."""
    return any((runtime_dir / FOLDER).glob(f"{master}.*.ready"))


def mark_replaced(runtime_dir: Path, master: int) -> None:
    """Before a master is told to stop because its successor serves already."""
    (runtime_dir / FOLDER / f"{master}.replaced").touch()


def forget(runtime_dir: Path, master: int) -> None:
    """After a master has ended: nothing of it stays."""
    for path in (runtime_dir / FOLDER).glob(f"{master}.*"):
        path.unlink(missing_ok=True)


def is_replaced(runtime_dir: Path, master: int) -> bool:
    return (runtime_dir / FOLDER / f"{master}.replaced").exists()
