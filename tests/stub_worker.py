"""A worker process without a network, whose pictures tell it to misbehave: for tests of everything around it.

`python -m tests.stub_worker RUNTIME_DIR GENERATION [MAX_BATCH [SLOT POOL]]` serves like `python -m worker`; with a slot
for gateways of other hosts, as the settings in its environment say. A picture finds
one face whose score is its brightest pixel / 255; the corner pixel of a `misbehaving` picture is an order.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import zmq
from numpy.typing import NDArray

from shared import announcement, environment, exit_codes
from shared.announcement import Announcement
from shared.messages import Canary, ModelInfo, Welcome
from tests.stub_detector import StubDetector
from worker.credit import CreditLedger
from worker.crop_view import open_view
from worker.guard import endpoint_of, guard_of
from worker.micro_batch import MicroBatcher
from worker.pipeline import Pipeline
from worker.router import Router
from worker.serve import Serving, WorkerSick

#: What the corner pixel (1, 2, order) makes the worker do before it answers.
KILL, RAISE, BREAK, NAP, ABORT, NAP_AND_KILL = 1, 2, 3, 4, 5, 6
NAP_S = 0.3
SIDE = 64


def picture(brightness: int, order: int = 0) -> NDArray[np.uint8]:
    """(64, 64, 3) uint8; found as one face of score brightness / 255."""
    assert 8 <= brightness <= 255
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[SIDE // 2, SIDE // 2] = brightness
    if order:
        pixels[0, 0] = (1, 2, order)
    return pixels


class Obedient:
    """Does what the pictures say; `broken` outlasts the picture that ordered it."""

    broken = False

    def __call__(self, images: NDArray[np.uint8]) -> None:
        corners = images[:, 0, 0]
        orders = {int(order) for blue, green, order in corners if (blue, green) == (1, 2)}
        self.broken = self.broken or BREAK in orders
        if orders & {NAP, NAP_AND_KILL}:
            time.sleep(NAP_S)
        if orders & {KILL, NAP_AND_KILL}:
            os.kill(os.getpid(), signal.SIGKILL)
        if ABORT in orders:
            os.abort()
        if RAISE in orders or self.broken:
            raise RuntimeError("ordered to fail")


def told(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main(runtime_dir: Path, generation: str, max_batch: int = 1, slot: int | None = None, pool: int = 0) -> int:
    capacity, asked = 2 * max_batch, []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    info = ModelInfo("stub", "fp32", "StubExecutionProvider", SIDE, True, max_batch, True, "MIT", "0" * 64)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    settings, _ = environment.load()
    guard = guard_of(settings, context, told) if slot is not None else None
    transport = "ipc" if slot is None else endpoint_of(settings, slot)
    router = Router(context, transport, runtime_dir, generation, capacity, guard)
    announcement.announce(runtime_dir, Announcement(slot or 0, generation, router.address, os.getpid(), pool))
    serving = Serving(
        sockets=router,
        pipeline=Pipeline(StubDetector(Obedient()), max_batch, print),
        welcome=Welcome(generation, slot or 0, os.getpid(), capacity, max_batch, info, Canary(0.5, 0.4, [], 1.0, 0.1)),
        batcher=MicroBatcher(max_batch, 0.0),
        ledger=CreditLedger(capacity),
        told=told,
        stopping=lambda: bool(asked),
        view=None if guard else open_view,
    )
    try:
        serving.run()
    except WorkerSick:
        return exit_codes.FAILED
    announcement.withdraw(runtime_dir, generation)
    router.close()
    context.term()
    return exit_codes.OK


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])))
