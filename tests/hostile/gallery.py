"""Pictures with an event loop of their own, so that plain tests can open files and see what became of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gateway.pictures.marks import Marks
from gateway.pictures.masking import KEEP, MaskOptions
from gateway.pictures.picture import Picture, Pictures, open_pictures
from gateway.pictures.picture_facts import Masked
from gateway.request_time import in_time
from shared.deadline import Deadline
from shared.errors import BadImage, FaceApiError, TooLarge
from shared.faces import Faces
from shared.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one file led to. answer: "picture" or the words of the refusal. cpu_s: in the gateway and its children.

    peak_bytes: most memory a child has held while it worked on this file.
    """

    status: int
    answer: str
    wall_s: float
    cpu_s: float
    peak_bytes: int
    crashed: bool


class Gallery:
    """Child processes as the gateway has them, for tests."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**{"decode_processes": 1, **settings})
        self._loop = asyncio.new_event_loop()
        self.pictures: Pictures = self.run(open_pictures(self.settings))
        self.resident_at_start = self.resident_bytes()
        self.files_at_start = self.open_files()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.pictures.aclose())
        self._loop.close()

    def open(
        self,
        data: bytes,
        *,
        sides: tuple[int, ...] = (640,),
        to_mask: bool = False,
        kept: bool = False,
        reach: int = 0,
        planar: bool = False,
        seconds: float = 120,
    ) -> Picture:
        opening = self.opening(
            data, sides=sides, to_mask=to_mask, kept=kept, reach=reach, planar=planar, seconds=seconds
        )
        return self.run(opening)

    async def opening(
        self,
        data: bytes,
        *,
        sides: tuple[int, ...] = (640,),
        to_mask: bool = False,
        kept: bool = False,
        reach: int = 0,
        planar: bool = False,
        seconds: float = 120,
    ) -> Picture:
        """The same, to be awaited."""
        async with in_time(Deadline.after(seconds, self._loop.time())):
            return await self.pictures.open(data, sides=sides, to_mask=to_mask, kept=kept, reach=reach, planar=planar)

    def mask(
        self, data: bytes, boxes: list[list[float]], reach: int = 0, *, planar: bool = False, **options: Any
    ) -> Masked:
        """Opens, masks these boxes, closes."""
        picture = self.open(data, to_mask=True, kept=options.get("quality") == KEEP, reach=reach, planar=planar)
        try:
            found = np.array(boxes, np.float32).reshape(-1, 4)
            faces = Faces(found, np.ones(len(found), np.float32), None)
            return self.run(picture.mask(Marks.all_of(faces), MaskOptions(**options)))
        finally:
            picture.close()

    def outcome(self, data: bytes, *, to_mask: bool = False) -> Outcome:
        """Opens and closes a file, whatever becomes of it."""
        before = self.pictures.crew.pids()
        self.begin_peak()
        cpu, wall = self._cpu(), time.perf_counter()
        try:
            self.open(data, to_mask=to_mask).close()
            status, answer = 200, "picture"
        except (BadImage, TooLarge) as error:
            status, answer = error.status, str(error)
        except FaceApiError as error:
            status, answer = error.status, f"{type(error).__name__}: {error}"
        wall, cpu = time.perf_counter() - wall, self._cpu() - cpu
        peak = max((_peak(pid) for pid in before), default=0)
        crashed = self.pictures.crew.pids() != before
        if crashed:
            self.wait_for(len(before))
        return Outcome(status, answer, wall, max(0.0, cpu), peak, crashed)

    def wait_for(self, count: int) -> None:
        """Until so many children can work again."""
        while len(self.pictures.crew.pids()) < count or not self.pictures.crew.all_ready():
            self.run(asyncio.sleep(0.01))

    def _cpu(self) -> float:
        return time.process_time() + self.children_cpu_s()

    def children_cpu_s(self) -> float:
        """Seconds the children have computed so far."""
        return sum(_on_cpu(pid) for pid in self.pictures.crew.pids())

    def nothing_is_counted(self) -> bool:
        """Whether both budgets are whole again."""
        budgets = (self.pictures.holding, self.pictures.working)
        return all(budget.free == budget.total for budget in budgets)

    def open_files(self) -> list[list[str]]:
        """What each child has open, by name."""
        folders = (Path(f"/proc/{pid}/fd") for pid in self.pictures.crew.pids())
        return [sorted(str(link.readlink()) for link in folder.iterdir()) for folder in folders]

    def written_bytes(self) -> int:
        """By the children together; memory and sockets are not counted."""
        return sum(self.written_by(pid) for pid in self.pictures.crew.pids())

    @staticmethod
    def written_by(pid: int | str) -> int:
        """Bytes of files on disks that a process changed, whether the disk has them yet or not."""
        text = Path(f"/proc/{pid}/io").read_text(encoding="ascii")
        return int(text.partition("\nwrite_bytes: ")[2].split()[0])

    def begin_peak(self) -> None:
        """From now on `peak_bytes` counts."""
        for pid in self.pictures.crew.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")

    def peak_bytes(self) -> int:
        """Most memory one child has held since `begin_peak`."""
        return max((_peak(pid) for pid in self.pictures.crew.pids()), default=0)

    def resident_bytes(self) -> int:
        """Of the children together."""
        return sum(_resident(pid) for pid in self.pictures.crew.pids())


def _on_cpu(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _peak(pid: int) -> int:
    try:
        words = Path(f"/proc/{pid}/status").read_text(encoding="ascii").split()
        return int(words[words.index("VmHWM:") + 1]) * 1024
    except (OSError, ValueError):
        return 0


def _resident(pid: int) -> int:
    words = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return int(words[1]) * 4096
