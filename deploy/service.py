"""Service: gateway and pool together over one listening socket; how both are replaced and how both end.

A replacement (SIGHUP) starts new parts beside the old ones, waits until they serve, then ends the old: no request
notices. It takes up changed code, settings (FACE_API_SETTINGS_FILE) and models alike. Workers that hosts of gateways
know by their ports are replaced one pool after the other: meanwhile those of other hosts serve.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import structs

from deploy.parts import Part, start_gateway, start_pool
from deploy.runtime_dir import RuntimeDir
from gateway import presence
from gateway.reporting import metrics_files
from shared import announcement
from shared.logs import Log
from shared.settings import Settings

#: Beyond the gateway's own grace: time to notice, close and leave.
STOP_MARGIN_S = 10.0
#: For the workers, once no gateway needs them.
POOL_GRACE_S = STOP_MARGIN_S * 2
LOOK_INTERVAL_S = 0.1
#: A new pool may have to prepare another model first.
POOL_START_S_MAX = 1800.0
GATEWAY_START_S_MAX = 120.0
#: How long the old workers stay after the new ones began to come.
OVERLAP_S_MAX = 60.0
#: What a replacement does not change.
KEPT = ("host", "port", "listen_fd", "runtime_dir", "data_dir", "role")


@dataclass(slots=True)
class Service:
    """running: the settings in force, with this host's socket and folders in them. parts: a pool, a gateway or both;
    while they are replaced, the old ones stand first. leaving: what ends before its successor starts.
    """

    running: Settings
    listening: socket.socket
    folder: RuntimeDir
    log: Log
    parts: list[Part] = field(default_factory=list)
    leaving: list[Part] = field(default_factory=list)

    @property
    def runtime_dir(self) -> Path:
        return self.folder.path

    @property
    def in_force(self) -> list[Part]:
        """What serves now: a pool, a gateway, or a pool and a gateway."""
        return self.parts[: 2 if self.running.role == "both" else 1]

    def workers_expected(self) -> int:
        """How many workers there will be on this host; 0 while the pool has not told, or where there is none."""
        return announcement.expected(self.runtime_dir, self.in_force[0].pid) if self.parts else 0

    def workers_here(self) -> int:
        """How many workers of this host can be reached."""
        return announcement.workers_of(self.runtime_dir, self.in_force[0].pid) if self.parts else 0

    async def start(self) -> None:
        if self.running.role != "gateway":
            self.parts.append(await start_pool(self.running, self.folder, self.log))
        if self.running.role != "workers":
            self.parts.append(await start_gateway(self.running, self.folder, self.log))

    async def stop(self) -> None:
        """The listening socket, the gateways with what is in flight, then the workers."""
        self.listening.close()
        gateways = [part for part in self.parts if part.name == "the gateway"]
        pools = [part for part in self.parts if part.name != "the gateway"]
        await asyncio.gather(*(part.stop(gateway_grace_s(self.running)) for part in gateways))
        await asyncio.gather(*(part.stop(POOL_GRACE_S) for part in pools))

    async def replace(self, fresh: Settings) -> None:
        """New workers, then a new gateway, then the old ones end. What cannot start leaves the old ones serving."""
        kept = {name: getattr(self.running, name) for name in KEPT}
        running = structs.replace(fresh, **kept)
        if running.role == "workers":
            await self._replace_pool(running)
            return
        old = self.in_force
        self.log.info("replacing: new workers start beside the old ones")
        try:
            why = await self._start_beside(running)
        except Exception as error:
            self.log.exception("starting new parts failed")
            why = f"{type(error).__name__} on the way"
        if why:
            await self._give_up(why)
            return
        new = self.parts[len(old) :]
        if running.role == "both":
            await self._until(lambda: announcement.is_full(self.runtime_dir, new[0].pid), new[0], OVERLAP_S_MAX)
        self.running, self.parts = running, [*new, *old]
        presence.mark_replaced(self.runtime_dir, old[-1].pid)
        await old[-1].stop(gateway_grace_s(self.running))
        for pool in old[:-1]:
            await pool.stop(POOL_GRACE_S)
        self.parts = new
        self._forget(*old)
        self.log.info("replaced: the new workers and gateway serve, the old ones have ended")

    async def _replace_pool(self, running: Settings) -> None:
        """Its ports are free for the new one once the old one has ended."""
        self.log.info("replacing: the workers end, then new ones start; those of other hosts serve meanwhile")
        self.leaving, self.parts = self.parts, []
        try:
            for old in self.leaving:
                await old.stop(POOL_GRACE_S)
                self._forget(old)
            self.running, self.parts = running, [await start_pool(running, self.folder, self.log)]
        finally:
            self.parts = self.parts or self.leaving  # without a new pool this service is over
            self.leaving = []

    async def _start_beside(self, running: Settings) -> str:
        """Why the new parts, which stand behind the old ones in `parts`, do not serve; empty when they do."""
        why = await self._pool_beside(running) if running.role == "both" else ""
        return why or await self._gateway_beside(running)

    async def _pool_beside(self, running: Settings) -> str:
        pool = await start_pool(running, self.folder, self.log)
        self.parts.append(pool)
        come = await self._until(
            lambda: announcement.workers_of(self.runtime_dir, pool.pid) > 0, pool, POOL_START_S_MAX
        )
        return "" if come else f"{pool.name} did not come up"

    async def _gateway_beside(self, running: Settings) -> str:
        gateway = await start_gateway(running, self.folder, self.log)
        self.parts.append(gateway)
        come = await self._until(lambda: presence.is_ready(self.runtime_dir, gateway.pid), gateway, GATEWAY_START_S_MAX)
        return "" if come else f"{gateway.name} did not come up"

    async def _give_up(self, why: str) -> None:
        """Ends the new parts, the youngest first."""
        self.log.error("not replaced, the old parts go on serving", why=why)
        new = self.parts[len(self.in_force) :]
        for part in reversed(new):
            await part.stop(STOP_MARGIN_S)
        self.parts = self.in_force
        self._forget(*new)

    def _forget(self, *ended: Part) -> None:
        """Removes the files of parts that have ended; their counts stay in the sums."""
        for part in ended:
            metrics_files.fold(metrics_files.folder(self.runtime_dir), part.pid)
            presence.forget(self.runtime_dir, part.pid)
            announcement.forget_pool(self.runtime_dir, part.pid)

    async def _until(self, condition: Callable[[], bool], part: Part, seconds: float) -> bool:
        """Whether it came true before the part ended or the time was over."""
        end = asyncio.get_running_loop().time() + seconds
        while not condition():
            if part.ended.done() or asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(LOOK_INTERVAL_S)
        return True


def gateway_grace_s(settings: Settings) -> float:
    return settings.drain_delay + settings.stop_grace + STOP_MARGIN_S


def grace_problem(settings: Settings) -> str:
    """Why its supervisor would kill this service before it has ended; empty when it would not, or was not told."""
    needed = POOL_GRACE_S + (0 if settings.role == "workers" else gateway_grace_s(settings))
    if not settings.termination_grace or settings.termination_grace >= needed:
        return ""
    return (
        f"FACE_API_TERMINATION_GRACE={settings.termination_grace:g} is less than the {needed:g} s that a stop may take "
        f"(FACE_API_DRAIN_DELAY + FACE_API_STOP_GRACE + {STOP_MARGIN_S + POOL_GRACE_S:g}): requests in flight would be "
        f"lost; let the supervisor wait {needed:g} s, or shorten them"
    )
