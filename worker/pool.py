"""`python -m worker.pool`: prepares the model once, then starts, watches and replaces the workers of one host.

It hears of a worker's end from the operating system, at once; a worker that no longer answers heartbeats is
killed and replaced. SIGTERM stops the workers, each finishing what it has in hand.
"""

from __future__ import annotations

import argparse
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
from msgspec import structs

from models.ensure import ensure
from models.served.facts import ServingModel
from shared import announcement, environment, exit_codes
from shared.errors import ConfigurationError
from shared.gpus import gpus_to_use
from shared.logs import Log, format_of, open_log
from shared.processes import die_with_parent, forbid_core_files, give_memory_back, usable_cores
from shared.settings import Settings
from shared.supervision import finished
from worker.backoff import Backoff
from worker.pool_metrics import PoolMetrics
from worker.relay import relay
from worker.retreat import Way, after
from worker.roll_keeper import RollKeeper
from worker.topology import Topology, choose_topology
from worker.watch import until_hung

#: How long a stopping worker may finish what it has in hand before it is killed.
STOP_GRACE_S = 10.0
FULL_LOOK_INTERVAL_S = 0.1


@dataclass(slots=True)
class Pool:
    """One slot per worker; a slot's process is replaced when it ends, under a new generation.

    held: descriptors that every worker inherits: they keep the folder for sockets while any of them lives.
    has_served: whether any worker ever did: from then on nothing a worker says ends the whole pool.
    given_up: what its workers do without on this host's cards (`worker/retreat.py`).
    """

    settings: Settings
    model: ServingModel
    topology: Topology
    log: Log
    held: tuple[int, ...] = ()
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str = ""
    has_served: bool = False
    given_up: dict[int, str] = field(default_factory=dict)
    metrics: PoolMetrics = field(default_factory=PoolMetrics)
    context: zmq.asyncio.Context = field(default_factory=zmq.asyncio.Context)
    roll: RollKeeper | None = None
    _run: str = field(default_factory=lambda: secrets.token_hex(3))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def runtime_dir(self) -> Path:
        return Path(self.settings.runtime_dir)

    @property
    def way(self) -> Way:
        return Way(self.settings, self.model, self.topology, self.given_up)

    @property
    def _key(self) -> str:
        """What it shows its own workers."""
        return self.settings.wire_key if self.settings.role == "workers" else ""

    async def run(self) -> int:
        """Until `stopping`; the exit code. Raises ConfigurationError where gateways of other hosts cannot reach it."""
        announcement.folder(self.runtime_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = [asyncio.create_task(finished(self._tell_when_full, lambda error: self._failed("pool_full", error)))]
        if self.settings.role == "workers":
            self.roll = RollKeeper(self.runtime_dir, os.getpid(), self.log.warning)
            self.roll.open(self.settings, self.context)
            beside.append(asyncio.create_task(finished(self.roll.serve, lambda error: self._failed("roll", error))))
        announcement.expect(self.runtime_dir, os.getpid(), self.topology.workers)
        slots = [asyncio.create_task(self._keep(slot)) for slot in range(self.topology.workers)]
        await asyncio.gather(*slots)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if self.roll is not None:
            self.roll.close()
        self.context.term()
        return exit_codes.CONFIGURATION if self.failure else exit_codes.OK

    async def _tell_when_full(self) -> None:
        while announcement.workers_of(self.runtime_dir, os.getpid()) < self.topology.workers:  # noqa: ASYNC110 — files
            await asyncio.sleep(FULL_LOOK_INTERVAL_S)
        announcement.mark_full(self.runtime_dir, os.getpid())

    async def _keep(self, slot: int) -> None:
        """Keeps one slot filled, whatever fails: no process to be had, a folder that cannot be read, a bug of ours."""
        backoff = Backoff()
        while not self.stopping.is_set():
            try:
                await self._one_life(slot, backoff)
            except Exception as error:
                self._failed("pool_slot", error)
                await self._pause(backoff.after_death(served=False))

    async def _one_life(self, slot: int, backoff: Backoff) -> None:
        """From the start of one worker until what follows from its end."""
        generation, way = f"{self._run}.{next(self._numbers)}", self.way
        process = await self._start(slot, generation)
        saying = asyncio.create_task(self._relayed(process, generation))
        try:
            hung = await self._until_over(process, generation)
            if self.roll is not None and not (self.stopping.is_set() and process.returncode == exit_codes.OK):
                self.roll.died(generation)  # one that dies of a picture while its host stops, too
            last_words = await saying
        finally:
            await _gone(process, saying)
        served = generation in announcement.announced(self.runtime_dir)
        announcement.withdraw(self.runtime_dir, generation)
        if self.stopping.is_set():
            return
        if not self._retreats(process.returncode, way, last_words):
            await self._after_death(process.returncode, generation, backoff, last_words, served=served)
        if not self.stopping.is_set():
            self.metrics.restarted("hung" if hung else "died" if served else "start")

    async def _relayed(self, process: asyncio.subprocess.Process, generation: str) -> str:
        """Its last words. Read on whatever fails: a worker whose words nobody reads stands still."""
        return await finished(
            lambda: relay(process, generation, self.log, self.settings.log_format),
            lambda error: self._failed("pool_relay", error),
        )

    async def _hung(self, generation: str) -> str:
        return await finished(
            lambda: until_hung(self.context, self.runtime_dir, generation, self._key),
            lambda error: self._failed("pool_watch", error),
        )

    def _failed(self, loop: str, error: BaseException) -> None:
        self.metrics.failed(loop)
        with contextlib.suppress(OSError, ValueError):  # a log that cannot be written ends nothing
            self.log.error("a loop of the pool failed and begins again", loop=loop, exc_info=error)

    async def _start(self, slot: int, generation: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker",
            "--slot", str(slot), "--generation", generation, "--parent", str(os.getpid()),
            "--model", str(self.model.path),
            "--threads", str(self.topology.threads), "--lone-threads", str(self.topology.lone_threads),
            "--max-batch", str(self.topology.max_batch),
            "--device", self.topology.device_of(slot), "--note", self.way.note,
            env=environment.inherited_environment(self.settings),
            stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            pass_fds=self.held,
        )  # fmt: skip

    async def _until_over(self, process: asyncio.subprocess.Process, generation: str) -> bool:
        """Until the process ended: by itself, because the pool stops, or killed because it hangs; whether the last."""
        ended = asyncio.create_task(process.wait())
        asked = asyncio.create_task(self.stopping.wait())
        hung = asyncio.create_task(self._hung(generation))
        await asyncio.wait({ended, asked, hung}, return_when=asyncio.FIRST_COMPLETED)
        killed = hung.done() and not ended.done()
        if killed:
            self.log.error("worker hangs, killing it", worker=generation, why=f"it {hung.result()}")
            process.kill()
            await ended
        for task in (asked, hung):
            task.cancel()
        await asyncio.gather(asked, hung, return_exceptions=True)
        if not ended.done():
            await _stop(process, ended, self.log)
        return killed

    def _retreats(self, code: int | None, had: Way, why: str) -> bool:
        """Whether from now on workers serve otherwise than the one that ended."""
        other = after(code, had, self.way)
        if other is None:
            return False
        self.settings, self.model, self.topology, self.given_up = (
            other.settings, other.model, other.topology, other.given_up,
        )  # fmt: skip
        self.log.warning("workers serve otherwise from now on", so=other.note, why=why)
        return True

    async def _after_death(
        self, code: int | None, generation: str, backoff: Backoff, last_words: str, *, served: bool
    ) -> None:
        delay_s = backoff.after_death(served=served)
        how = f"ended with code {code}" if code is None or code >= 0 else f"was killed by {signal.Signals(-code).name}"
        self.has_served = self.has_served or served
        if code == exit_codes.CONFIGURATION and not self.has_served:
            self.failure = last_words or f"its worker {how}"
            self.log.error("cannot start", why=self.failure, worker=generation)
            self.stopping.set()
            return
        words = (
            "worker ended, a replacement starts" if served else "worker ended before it served, a replacement starts"
        )
        facts = {"last_words": last_words} if last_words and not served else {}
        self.log.error(words, why=f"it {how}", worker=generation, again_in_s=delay_s, **facts)
        await self._pause(delay_s)

    async def _pause(self, delay_s: float) -> None:
        """Not longer than until the pool is to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self.stopping.wait()


async def _gone(process: asyncio.subprocess.Process, saying: asyncio.Task[str]) -> None:
    """Leaves no worker behind that nobody keeps."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    saying.cancel()
    await asyncio.gather(saying, return_exceptions=True)


async def _stop(process: asyncio.subprocess.Process, ended: asyncio.Task[int], log: Log) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_GRACE_S):
            await asyncio.shield(ended)
    except TimeoutError:
        log.error("worker did not stop, killing it", process=process.pid, seconds=STOP_GRACE_S)
        process.kill()
        await ended


async def _main(effective: Settings, log: Log, held: tuple[int, ...]) -> int:
    model = ensure(effective, log.info)
    give_memory_back()  # preparing a model took 140 MiB more than this process needs from now on
    topology = choose_topology(
        effective, usable_cores(), gpus_to_use(effective.accelerator), batch_invariant=model.info.batch_invariant
    )
    log.info("workers start", model=model.info.name, precision=model.info.precision, topology=topology.reason)
    pool = Pool(topology.told(effective), model, topology, log, held)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, pool.stopping.set)
    return await pool.run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.pool", description="The workers of one host.")
    parser.add_argument("--parent", type=int, help="process id of the launcher: without it this process ends, too")
    parser.add_argument("--hold", type=int, nargs="*", default=[], help="descriptors for the workers to inherit")
    return parser.parse_args()


def main() -> int:
    """Exit codes as in `shared/exit_codes.py`."""
    options = _options()
    if options.parent is not None:
        die_with_parent(options.parent)
    forbid_core_files()
    try:
        effective, _ = environment.load()
    except ConfigurationError as error:
        print(f"pool: wrong settings:\n{error}", file=sys.stderr)
        return exit_codes.CONFIGURATION
    effective = structs.replace(effective, log_format=format_of(effective))
    log = open_log(effective, "pool")
    try:
        return asyncio.run(_main(effective, log, tuple(options.hold)))
    except ConfigurationError as error:
        log.error("cannot start", why=str(error))
        return exit_codes.CONFIGURATION


if __name__ == "__main__":
    sys.exit(main())
