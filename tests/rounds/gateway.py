"""The gateway's application as the rounds start it: at an ordered step it kills what the order names, itself or a server.

The order is a file, read at every step: what is killed, before or after which call of a step. It is removed first.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec
from starlette.applications import Starlette

from gateway.app import create_app as create_real_app
from gateway.records import image_table, keeping, once_table, table
from gateway.records.image import KeptImage
from gateway.stores.folder_objects import FolderObjects
from gateway.stores.s3_objects import S3Objects
from tests.service import processes_below

#: The environment's variable with the path of the order.
ORDER = "ROUNDS_ORDER"
#: Where something is killed, as rows and objects go: a claim of an Idempotency-Key, a job alone, a picture in three
#: steps (half: a folder's file is written and has no name yet), and a deletion in three.
DELETING = ("deleting", "object", "row")
STEPS = ("claim", "job", "pending", "half", "put", "stored", *DELETING)


class Order(msgspec.Struct, frozen=True):
    """victims: process ids; what each began dies with it. after: the fatal call, or before it."""

    number: int
    step: str
    after: bool
    fatal: int
    victims: list[int]


class Executioner:
    """Counts the calls of each order's step."""

    def __init__(self, path: Path) -> None:
        self.path, self.number, self.seen, self.alone = path, -1, 0, Lock()

    def at(self, step: str, *, after: bool) -> None:
        with self.alone, contextlib.suppress(FileNotFoundError):
            order = msgspec.json.decode(self.path.read_bytes(), type=Order)
            if (order.step, order.after) != (step, after):
                return
            if order.number != self.number:
                self.number, self.seen = order.number, 0
            self.seen += 1
            if self.seen == order.fatal:
                self.path.unlink()
                kill(order.victims)


def kill(victims: Sequence[int]) -> None:
    """The first of each family first, so that it replaces none; this process last."""
    families = [one for pid in victims for one in (pid, *processes_below(pid))]
    for pid in sorted(families, key=lambda pid: pid == os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def armed(call: Callable[..., Any], executioner: Executioner, steps: Callable[..., Iterable[str]]) -> Any:
    """The call, with the executioner before and after it at the steps that it is."""

    def called(*arguments: Any, **named: Any) -> Any:
        mine = list(steps(*arguments))
        for step in mine:
            executioner.at(step, after=False)
        result = call(*arguments, **named)
        for step in mine:
            executioner.at(step, after=True)
        return result

    return called


def written(_database: object, changes: Sequence[Any]) -> set[str]:
    images = {"pending" for change in changes if isinstance(change, KeptImage)}
    return images | {"stored" if change.image_id else "job" for change in changes if not isinstance(change, KeptImage)}


def arm(executioner: Executioner) -> None:
    def is_picture(_self: object, _name: str, _data: object, media_type: str) -> list[str]:
        return ["put"] if media_type.startswith("image/") else []

    table.write = armed(table.write, executioner, written)
    once_table.begin = armed(once_table.begin, executioner, lambda *_: ["claim"])
    for module, name, step in (
        (image_table, "doom_one", "deleting"), (table, "delete_one", "deleting"), (image_table, "forget", "row"),
        (os, "link", "half"),
    ):  # fmt: skip
        setattr(module, name, armed(getattr(module, name), executioner, lambda *_, step=step: [step]))
    for kind in (FolderObjects, S3Objects):
        kind.put = armed(kind.put, executioner, is_picture)  # type: ignore[method-assign]
        kind.delete = armed(kind.delete, executioner, lambda *_: ["object"])  # type: ignore[method-assign]


def create_app() -> Starlette:
    """best_effort waits as long as it takes: a busy machine is to leave as many ids as an idle one."""
    keeping.CONFIRM_S_MAX = keeping.CONFIRM_BOTH_S_MAX = 10.0
    arm(Executioner(Path(os.environ[ORDER])))
    return create_real_app()
