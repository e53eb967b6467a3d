"""A whole service that a scenario may restart or kill and start again, on one port and in one runtime folder.

What it leaves behind can be counted at any time: processes, descriptors, shared memory, files.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shared.announcement import announced
from tests.chaos.gallery import settings
from tests.service import START_S_MAX, Service, is_running, processes_below, start

SHARED_MEMORY = Path("/dev/shm")


@dataclass
class House:
    """service: the one that runs now; its port stays the same over restarts."""

    data_dir: Path
    runtime_dir: Path
    wanted: dict[str, object]
    service: Service = field(init=False)

    def open(self) -> None:
        self.service = start(self.data_dir, **self.wanted)
        assert self.service.ready.wait(START_S_MAX), self.service.output
        assert self.service.url, self.service.output
        self.wanted["port"] = self.port

    def close(self) -> None:
        """Stops it: exit code 0, and no process left."""
        below = processes_below(self.service.process.pid)
        try:
            assert self.service.stop() == 0, self.service.output
            assert not [pid for pid in below if is_running(pid)], self.service.output
        finally:
            self.service.close()

    @property
    def port(self) -> int:
        return int(self.service.url.rsplit(":", 1)[1])

    def workers(self) -> set[int]:
        """Process ids of the workers that serve."""
        return {one.pid for one in announced(self.runtime_dir).values() if is_running(one.pid)}

    def gateways(self) -> set[int]:
        """Process ids of the gateway processes that were ready once and live."""
        names = [path.name.split(".") for path in (self.runtime_dir / "gateways").glob("*.ready")]
        return {int(name[1]) for name in names if is_running(int(name[1]))}

    async def restart(self) -> None:
        """SIGTERM, and again from the start."""
        await asyncio.to_thread(self.close)
        await asyncio.to_thread(self.open)

    async def kill(self) -> None:
        """kill -9 of the launcher, and again from the start once nothing of it runs."""
        below = processes_below(self.service.process.pid)
        self.service.process.kill()
        await asyncio.to_thread(self.service.close)
        while any(is_running(pid) for pid in below):  # noqa: ASYNC110 — processes
            await asyncio.sleep(0.02)
        await asyncio.to_thread(self.open)

    def possessions(self) -> dict[str, int]:
        """How much of everything the service holds now."""
        pids = [self.service.process.pid, *processes_below(self.service.process.pid)]
        files = [path for path in self.runtime_dir.rglob("*") if not path.is_dir()]
        return {
            "processes": len(pids),
            "descriptors": sum(_count(Path(f"/proc/{pid}/fd")) for pid in pids),
            "files in the runtime folder": len(files),
            "files in shared memory": _count(SHARED_MEMORY),
        }


def _count(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return 0


@contextlib.contextmanager
def open_house(**more: object) -> Iterator[House]:
    """A ready house with the beacon network; closed and checked at the end."""
    with tempfile.TemporaryDirectory(prefix="fa-") as short, tempfile.TemporaryDirectory(prefix="fa-data-") as data:
        house = House(Path(data), Path(short), settings(Path(data), runtime_dir=short, **more))
        house.open()
        try:
            yield house
        except BaseException:
            house.service.close()
            raise
        house.close()
