"""Service: gateway and pool together over one listening socket; how both are replaced and how both end.

A replacement (SIGHUP) starts new parts beside the old ones, waits until they serve, then ends the old: no request
notices. It takes up changed code, settings (FACE_API_SETTINGS_FILE) and models alike.
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


@dataclass(slots=True)
class Service:
    """running: the settings in force, with this host's socket and folders in them."""

    running: Settings
    listening: socket.socket
    folder: RuntimeDir
    log: Log
    parts: list[Part] = field(default_factory=list)

    @property
    def runtime_dir(self) -> Path:
        return self.folder.path

    @property
    def pool(self) -> Part:
        return self.parts[0]

    @property
    def gateway(self) -> Part:
        return self.parts[1]

    def workers_expected(self) -> int:
        """How many workers there will be; 0 while the pool has not told."""
        return announcement.expected(self.runtime_dir, self.pool.pid)

    async def start(self) -> None:
        self.parts.append(await start_pool(self.running, self.folder, self.log))
        self.parts.append(await start_gateway(self.running, self.folder, self.log))

    async def stop(self) -> None:
        """The listening socket, the gateways with what is in flight, then the workers."""
        self.listening.close()
        gateways = [part for part in self.parts if part.name == "the gateway"]
        pools = [part for part in self.parts if part.name != "the gateway"]
        await asyncio.gather(*(part.stop(self._gateway_grace_s) for part in gateways))
        await asyncio.gather(*(part.stop(POOL_GRACE_S) for part in pools))

    async def replace(self, fresh: Settings) -> None:
        """New workers, then a new gateway, then the old ones end. What cannot start leaves the old ones serving."""
        kept = {name: getattr(self.running, name) for name in ("host", "port", "listen_fd", "runtime_dir", "data_dir")}
        running = structs.replace(fresh, **kept)
        old_pool, old_gateway = self.pool, self.gateway
        self.log.info("replacing: new workers start beside the old ones")
        try:
            why = await self._start_beside(running)
        except Exception as error:
            self.log.exception("starting new parts failed")
            why = f"{type(error).__name__} on the way"
        if why:
            await self._give_up(why)
            return
        pool, gateway = self.parts[-2:]
        await self._until(lambda: announcement.is_full(self.runtime_dir, pool.pid), pool, OVERLAP_S_MAX)
        self.running, self.parts = running, [pool, gateway, old_pool, old_gateway]
        presence.mark_replaced(self.runtime_dir, old_gateway.pid)
        await old_gateway.stop(self._gateway_grace_s)
        await old_pool.stop(POOL_GRACE_S)
        self.parts = [pool, gateway]
        self._forget(old_gateway, old_pool)
        self.log.info("replaced: the new workers and gateway serve, the old ones have ended")

    async def _start_beside(self, running: Settings) -> str:
        """Why the new parts, which stand behind the old ones in `parts`, do not serve; empty when they do."""
        pool = await start_pool(running, self.folder, self.log)
        self.parts.append(pool)
        come = await self._until(
            lambda: announcement.workers_of(self.runtime_dir, pool.pid) > 0, pool, POOL_START_S_MAX
        )
        if not come:
            return f"{pool.name} did not come up"
        gateway = await start_gateway(running, self.folder, self.log)
        self.parts.append(gateway)
        come = await self._until(lambda: presence.is_ready(self.runtime_dir, gateway.pid), gateway, GATEWAY_START_S_MAX)
        return "" if come else f"{gateway.name} did not come up"

    async def _give_up(self, why: str) -> None:
        """Ends the new parts, the youngest first."""
        self.log.error("not replaced, the old parts go on serving", why=why)
        new = self.parts[2:]
        for part in reversed(new):
            await part.stop(STOP_MARGIN_S)
        self.parts = self.parts[:2]
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

    @property
    def _gateway_grace_s(self) -> float:
        return gateway_grace_s(self.running)


def gateway_grace_s(settings: Settings) -> float:
    return settings.drain_delay + settings.stop_grace + STOP_MARGIN_S


def grace_problem(settings: Settings) -> str:
    """Why its supervisor would kill this service before it has ended; empty when it would not, or was not told."""
    needed = gateway_grace_s(settings) + POOL_GRACE_S
    if not settings.termination_grace or settings.termination_grace >= needed:
        return ""
    return (
        f"FACE_API_TERMINATION_GRACE={settings.termination_grace:g} is less than the {needed:g} s that a stop may take "
        f"(FACE_API_DRAIN_DELAY + FACE_API_STOP_GRACE + {STOP_MARGIN_S + POOL_GRACE_S:g}): requests in flight would be "
        f"lost; let the supervisor wait {needed:g} s, or shorten them"
    )
