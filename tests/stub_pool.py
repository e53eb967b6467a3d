"""`python -m tests.stub_pool WORKERS`: a host of workers whose pictures tell them to misbehave; settings as a pool's.

A real pool that keeps stub workers, so that a test can have one that dies of a picture.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from models.served.facts import ModelFacts, ServingModel
from shared import environment
from shared.environment import environment_of
from shared.logs import Log, open_log
from shared.messages import Canary
from shared.settings import Settings
from tests.service import ROOT
from tests.stub_worker import SIDE
from worker.pool import Pool
from worker.topology import Topology


class StubPool(Pool):
    """Keeps stub workers, which need no network."""

    async def _start(self, slot: int, generation: str) -> asyncio.subprocess.Process:
        words = (self.settings.runtime_dir, generation, self.topology.max_batch, slot, os.getpid())
        rest = {name: value for name, value in os.environ.items() if not name.startswith("FACE_API_")}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.stub_worker", *map(str, words), cwd=ROOT,
            env=rest | environment_of(self.settings), stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip


def stub_pool(settings: Settings, workers: int, log: Log) -> StubPool:
    facts = ModelFacts(
        name="stub", precision="fp32", input_side=SIDE, landmarks=True, batch_invariant=True, dynamic_size=True,
        license="", source_sha256="",
    )  # fmt: skip
    model = ServingModel(Path(settings.runtime_dir) / "none.onnx", facts, Canary(0.5, 0.4, [], 1.0, 1.0))
    return StubPool(settings, model, Topology(workers, 1, 1, "as the test wants"), log)


async def _main(workers: int) -> int:
    settings, _ = environment.load()
    pool = stub_pool(settings, workers, open_log(settings, "pool"))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, pool.stopping.set)
    return await pool.run()


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(int(sys.argv[1]))))
