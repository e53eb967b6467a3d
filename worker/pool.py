"""`python -m worker.pool`: prepares the model once, then starts, watches and replaces the workers of one host.

It hears of a worker's end from the operating system, at once; a worker that no longer answers heartbeats is
killed and replaced. SIGTERM stops the workers, each finishing what it has in hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import zmq.asyncio

from models.serving import ServingModel, ensure
from shared import announcement, settings
from shared.errors import ConfigurationError
from shared.gpus import gpus_to_use
from shared.processes import die_with_parent, forbid_core_files, usable_cores
from shared.settings import Settings, inherited_environment
from worker import exit_codes
from worker.backoff import Backoff
from worker.pool_metrics import PoolMetrics
from worker.topology import Topology, choose_topology
from worker.watch import until_hung

#: How long a stopping worker may finish what it has in hand before it is killed.
STOP_GRACE_S = 10.0
FULL_LOOK_INTERVAL_S = 0.1
#: Most characters of a worker's last line in the pool's own.
LAST_WORDS_MAX = 300


@dataclass(slots=True)
class Pool:
    """One slot per worker; a slot's process is replaced when it ends, under a new generation.

    has_served: whether any worker ever did: from then on nothing a worker says ends the whole pool.
    """

    settings: Settings
    model: ServingModel
    topology: Topology
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str = ""
    has_served: bool = False
    metrics: PoolMetrics = field(default_factory=PoolMetrics)
    context: zmq.asyncio.Context = field(default_factory=zmq.asyncio.Context)
    _run: str = field(default_factory=lambda: secrets.token_hex(3))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def runtime_dir(self) -> Path:
        return Path(self.settings.runtime_dir)

    async def run(self) -> int:
        """Until `stopping`; the exit code."""
        announcement.folder(self.runtime_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        slots = [asyncio.create_task(self._keep(slot)) for slot in range(self.topology.workers)]
        telling = asyncio.create_task(self._tell_when_full())
        await asyncio.gather(*slots)
        telling.cancel()
        self.context.term()
        return exit_codes.CONFIGURATION if self.failure else exit_codes.OK

    async def _tell_when_full(self) -> None:
        while announcement.workers_of(self.runtime_dir, os.getpid()) < self.topology.workers:  # noqa: ASYNC110 — files
            await asyncio.sleep(FULL_LOOK_INTERVAL_S)
        announcement.mark_full(self.runtime_dir, os.getpid())

    async def _keep(self, slot: int) -> None:
        """Keeps one slot filled."""
        backoff = Backoff()
        while not self.stopping.is_set():
            generation = f"{self._run}.{next(self._numbers)}"
            process = await self._start(slot, generation)
            saying = asyncio.create_task(_relay(process))
            hung = await self._until_over(process, generation)
            last_words = await saying
            served = generation in announcement.announced(self.runtime_dir)
            announcement.withdraw(self.runtime_dir, generation)
            if self.stopping.is_set():
                return
            await self._after_death(process.returncode, generation, backoff, last_words, served=served)
            if not self.stopping.is_set():
                self.metrics.restarted("hung" if hung else "died" if served else "start")

    async def _start(self, slot: int, generation: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker",
            "--slot", str(slot), "--generation", generation, "--parent", str(os.getpid()),
            "--model", str(self.model.path),
            "--threads", str(self.topology.threads), "--max-batch", str(self.topology.max_batch),
            "--device", self.topology.device_of(slot),
            env=inherited_environment(self.settings),
            stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def _until_over(self, process: asyncio.subprocess.Process, generation: str) -> bool:
        """Until the process ended: by itself, because the pool stops, or killed because it hangs; whether the last."""
        ended = asyncio.create_task(process.wait())
        asked = asyncio.create_task(self.stopping.wait())
        hung = asyncio.create_task(until_hung(self.context, self.runtime_dir, generation))
        await asyncio.wait({ended, asked, hung}, return_when=asyncio.FIRST_COMPLETED)
        killed = hung.done() and not ended.done()
        if killed:
            tell(f"worker {generation} {hung.result()}; killing it")
            process.kill()
            await ended
        for task in (asked, hung):
            task.cancel()
        await asyncio.gather(asked, hung, return_exceptions=True)
        if not ended.done():
            await _stop(process, ended)
        return killed

    async def _after_death(
        self, code: int | None, generation: str, backoff: Backoff, last_words: str, *, served: bool
    ) -> None:
        delay_s = backoff.after_death(served=served)
        how = f"ended with code {code}" if code is None or code >= 0 else f"was killed by {signal.Signals(-code).name}"
        self.has_served = self.has_served or served
        if code == exit_codes.CONFIGURATION and not self.has_served:
            self.failure = f"worker {generation} {how}"
            self.stopping.set()
            return
        why = "" if served or not last_words else f" before it served ({last_words})"
        tell(f"worker {generation} {how}{why}; a replacement starts {f'in {delay_s:g} s' if delay_s else 'now'}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self.stopping.wait()


async def _stop(process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_GRACE_S):
            await asyncio.shield(ended)
    except TimeoutError:
        tell(f"worker process {process.pid} did not stop in {STOP_GRACE_S:g} s; killing it")
        process.kill()
        await ended


async def _relay(process: asyncio.subprocess.Process) -> str:
    """Passes on what a worker says, until it ends; its last line, which often holds the reason."""
    assert process.stderr is not None
    last = ""
    with contextlib.suppress(ValueError):  # a line beyond the stream's limit
        async for line in process.stderr:
            last = line.decode(errors="replace").strip()[:LAST_WORDS_MAX] or last
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
    return last


def tell(words: str) -> None:
    print(f"pool: {words}", file=sys.stderr, flush=True)


async def _main(effective: Settings) -> int:
    model = ensure(effective, tell)
    topology = choose_topology(
        effective, usable_cores(), gpus_to_use(effective.accelerator), batch_invariant=model.info.batch_invariant
    )
    tell(f"{model.info.name} in {model.info.precision}: {topology.reason}")
    pool = Pool(effective, model, topology)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, pool.stopping.set)
    return await pool.run()


def main() -> int:
    """Exit codes as in `worker/exit_codes.py`."""
    parent = next((int(text.removeprefix("--parent=")) for text in sys.argv[1:] if text.startswith("--parent=")), None)
    if parent is not None:
        die_with_parent(parent)
    forbid_core_files()
    try:
        effective, _ = settings.load()
        return asyncio.run(_main(effective))
    except ConfigurationError as error:
        tell(f"cannot start: {error}")
        return exit_codes.CONFIGURATION


if __name__ == "__main__":
    sys.exit(main())
