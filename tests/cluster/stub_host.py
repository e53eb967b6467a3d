"""`python -m tests.cluster.stub_host`: the service, but its workers look at nothing and take STUB_MS for each picture.

What a host can answer is known then. All else is real: launcher, gateway, decoders, and how workers serve.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import zmq

import deploy.service
from deploy import launch
from deploy.parts import Part
from deploy.runtime_dir import RuntimeDir
from shared import announcement
from shared.announcement import Announcement
from shared.logs import Log
from shared.messages import Canary, ModelInfo, Welcome
from shared.processes import die_with_parent
from shared.settings import Settings
from tests.stub_detector import StubDetector
from worker.credit import CreditLedger
from worker.micro_batch import MicroBatcher
from worker.pipeline import Pipeline
from worker.router import Router
from worker.serve import Serving

STUB_MS = "STUB_MS"
SIDE = 64
CAPACITY = 2
#: Whatever one face it finds on the canary is right.
ANY_FACE = Canary(0.5, 0.4, [[0.0] * 15], 1e9, 1.0)


async def start_pool(running: Settings, folder: RuntimeDir, log: Log) -> Part:
    """In the place of the pool that the launcher starts."""
    arguments = ["pool", str(folder.path), str(running.workers), str(os.getpid())]
    command = [sys.executable, "-m", "tests.cluster.stub_host", *arguments]
    process = await asyncio.create_subprocess_exec(*command, start_new_session=True, pass_fds=(folder.lock,))
    return Part("the worker pool", process, log)


def pool(runtime_dir: Path, workers: int, parent: int) -> int:
    """So many workers, until SIGTERM."""
    die_with_parent(parent)
    announcement.folder(runtime_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    announcement.expect(runtime_dir, os.getpid(), workers)
    command = [sys.executable, "-m", "tests.cluster.stub_host", "worker", str(runtime_dir)]
    kept = [subprocess.Popen([*command, str(number), str(os.getpid())]) for number in range(workers)]
    signal.signal(signal.SIGTERM, lambda *_: [one.terminate() for one in kept])
    return max(one.wait() for one in kept)


def worker(runtime_dir: Path, slot: int, parent: int) -> int:
    """Serves like `python -m worker`, until SIGTERM."""
    die_with_parent(parent)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    run_s, generation = float(os.environ[STUB_MS]) / 1000, f"stub.{slot}"
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    router = Router(context, "ipc", runtime_dir, generation, CAPACITY)
    announcement.announce(runtime_dir, Announcement(slot, generation, router.address, os.getpid(), parent))
    info = ModelInfo("stub", "fp32", "StubExecutionProvider", SIDE, True, 1, True, "MIT", "0" * 64)
    Serving(
        sockets=router,
        pipeline=Pipeline(StubDetector(lambda _: time.sleep(run_s)), 1, print),
        welcome=Welcome(generation, slot, os.getpid(), CAPACITY, 1, info, ANY_FACE),
        batcher=MicroBatcher(1, 0.0),
        ledger=CreditLedger(CAPACITY),
        told=print,
        stopping=lambda: bool(asked),
    ).run()
    announcement.withdraw(runtime_dir, generation)
    router.close()
    context.term()
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        role, folder, number, parent = sys.argv[1:]
        sys.exit({"pool": pool, "worker": worker}[role](Path(folder), int(number), int(parent)))
    deploy.service.start_pool = start_pool
    sys.exit(launch.main())
