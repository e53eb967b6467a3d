"""`python -m loadtest.card_workers`: what a batch costs a worker beside its card, and how many workers a card wants.

A worker as it serves, in a process of its own: its socket, its loop, its memory for two batches. In the card's place
stands a clock; a gateway asks about whole inputs as it gets credit, which the worker reads where they lie, more of
them than caches hold. Counted is processor time by thread, so that others on the machine hardly matter: the loop's own,
and that of ZeroMQ's thread. The slower of the two is what one worker can do; a card that is quicker waits for it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import zmq
from numpy.typing import NDArray

from gateway.pictures.crop_memory import CropMemory
from models.served.reduced_outputs import kept
from shared.announcement import folder, socket_path
from shared.exit_codes import OK
from shared.messages import Canary, CropHeader, Grant, Hello, ModelInfo, Reply, Request, Welcome
from shared.wire import decode_to_gateway, encode, encode_request
from worker.bound_network import DEPTH, BoundNetwork
from worker.buckets import buckets_up_to
from worker.credit import CreditLedger
from worker.crop_view import open_view
from worker.detector_gpu import GpuDetector
from worker.device import Event, HostDevice, Queue
from worker.micro_batch import MicroBatcher
from worker.outbox import Outbox
from worker.pipeline import Pipeline
from worker.router import Router
from worker.serve import Serving
from worker.topology import capacity_of

SIDE: Final = 640
CONFIDENCE, FACES, TOGETHER = 0.5, 6, 6
#: Inputs that are asked about in turn: 75 MiB.
INPUTS = 64
GENERATION = "card"
#: Cards that run a batch of 16 in so many milliseconds are told how many workers they want.
CARDS_MS = (2.0, 3.0, 4.0, 8.0)
WAIT_MS = 10_000


class Clock(HostDevice):
    """A card that takes `batch_s` seconds a batch, whatever it holds, and moves memory for nothing."""

    def __init__(self, batch_s: float) -> None:
        super().__init__()
        self._batch_s = batch_s
        self._over = 0.0
        self._due: dict[Event, float] = {}
        self._there: dict[int, int] = {}

    def compute(self) -> None:
        self._over = max(self._over, time.monotonic()) + self._batch_s

    def copy_in(self, address: int, source: NDArray[Any]) -> None:
        """A card fetches it by itself."""

    def copy_out(self, target: NDArray[Any], address: int) -> None:
        """Where a bucket follows on another: the answers of each are always the same."""
        if self._there.get(target.ctypes.data) != target.nbytes:
            self._there[target.ctypes.data] = target.nbytes
            super().copy_out(target, address)

    def record(self, event: Event, _queue: Queue) -> None:
        self._due[event] = self._over

    def wait(self, event: Event) -> None:
        time.sleep(max(0.0, self._due[event] - time.monotonic()))


@dataclass(slots=True)
class Binding:
    """Answers of one bucket: FACES faces a picture, each found by three anchors of stride 8."""

    answers: list[tuple[int, NDArray[Any]]] = field(default_factory=list)

    def bind_input(self, *_: object) -> None:
        pass

    def bind_output(self, name: str, _memory: str, _index: int, kind: Any, shape: tuple[int, ...], at: int) -> None:
        answer = np.zeros(shape, kind)
        if name == "top_score_8":
            answer[:, : 3 * FACES] = np.linspace(0.9, 0.6, 3 * FACES)
        elif name == "top_index_8":
            answer[:] = np.arange(kept(SIDE, 8)) // 3 * 600 + np.arange(kept(SIDE, 8)) % 3
            answer %= (SIDE // 8) ** 2 * 2
        elif name.startswith("top_bbox"):
            answer[:] = 2.0
        self.answers.append((at, answer))


class Session:
    """In onnxruntime's place."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[int, Binding] = {}

    def get_inputs(self) -> list[Any]:
        return [argparse.Namespace(name="images")]

    def io_binding(self) -> Binding:
        return Binding()

    def run_with_iobinding(self, binding: Binding, _options: object) -> None:
        slot = binding.answers[0][0]
        if self._last.get(slot) is not binding:
            self._last[slot] = binding
            for at, answer in binding.answers:
                HostDevice().copy_in(at, answer)
        self._clock.compute()


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one picture, milliseconds of processor time: of the loop, and of ZeroMQ's thread. batch: pictures in a run."""

    loop_ms: float
    socket_ms: float
    batch: float

    def workers(self, batch: int, card_ms: float) -> int:
        """How many keep a card busy that takes so long for a batch."""
        return ceil(round(max(self.loop_ms, self.socket_ms) * batch / card_ms, 3))


def serve(runtime_dir: Path, batch: int, card_s: float, link: Connection) -> None:
    """The worker, until it is killed; whenever `link` is read it answers its clocks: the loop's, the process's."""
    clock = Clock(card_s)
    network = BoundNetwork(
        Session(clock), clock, SIDE, buckets_up_to(batch), dict, landmarks=True, reduced=True, graph_ids=None
    )
    capacity = capacity_of(batch, DEPTH, TOGETHER, card_s)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    router = Router(context, "ipc", runtime_dir, GENERATION, capacity)
    info = ModelInfo("clock", "fp16", "clock", SIDE, True, batch, True, "MIT", "0" * 64)
    loop = time.pthread_getcpuclockid(threading.get_ident())
    threading.Thread(target=_tell, args=(link, loop), daemon=True).start()
    Serving(
        sockets=router,
        pipeline=Pipeline(GpuDetector({SIDE: network}, "clock", landmarks=True), batch, print, [SIDE]),
        welcome=Welcome(GENERATION, 0, os.getpid(), capacity, capacity, info, Canary(0.5, 0.4, [], 1.0, 0.1)),
        batcher=MicroBatcher(batch, 0.0),
        ledger=CreditLedger(capacity),
        told=print,
        stopping=lambda: False,
        outbox=Outbox(TOGETHER),
        batch_s=card_s,
        view=open_view,
    ).run()


def _tell(link: Connection, loop: int) -> None:
    link.send(None)
    while True:
        link.recv()
        link.send((time.clock_gettime(loop), time.process_time()))


class Gateway:
    """Keeps a worker full with inputs of rows×SIDE."""

    def __init__(self, runtime_dir: Path, context: zmq.Context[zmq.Socket[bytes]], rows: int) -> None:
        self._memory = CropMemory()
        inputs = np.random.default_rng(2).integers(0, 256, (INPUTS, rows, SIDE, 3), dtype=np.uint8)
        placed = self._memory.placed(list(inputs))
        assert placed is not None
        self._crops, self._offsets = placed
        self._socket = context.socket(zmq.DEALER)
        self._socket.connect(f"ipc://{socket_path(runtime_dir, GENERATION)}")
        self._number = self._credit = 0
        self._socket.send_multipart(encode(Hello("g", crops=self._memory.address)))

    def ask(self, pictures: int) -> list[int]:
        """Until so many were answered: the size of each one's run. Raises RuntimeError for a wrong answer."""
        sizes: list[int] = []
        while len(sizes) < pictures:
            for _ in range(self._credit):
                self._send()
            self._credit = 0
            if not self._socket.poll(WAIT_MS):
                raise RuntimeError("the worker does not answer")
            message, faces = decode_to_gateway(self._socket.recv_multipart())
            if isinstance(message, Welcome) and not message.reads_crops:
                raise RuntimeError("the worker cannot read crops where they lie")
            if isinstance(message, Grant):
                self._credit += message.credits
            elif isinstance(message, Reply):
                if faces is None or len(faces) != FACES:
                    raise RuntimeError(f"{message.faces} faces were found, {FACES} were shown")
                self._credit += message.grant
                sizes.append(message.batch_size)
        return sizes

    def _send(self) -> None:
        self._number += 1
        place = self._number % INPUTS
        crop, offset = self._crops[place], self._offsets[place]
        header = CropHeader(len(crop), SIDE, SIDE, 1.0)
        request = Request(self._number, 60_000, CONFIDENCE, 0.4, 0, SIDE, len(crop), (header,), 1000, offsets=(offset,))
        self._socket.send_multipart(encode_request(request, [crop]), copy=False)

    def close(self) -> None:
        self._socket.close(0)
        self._memory.close()


def measured(batch: int, card_s: float, rows: int, pictures: int) -> Cost:
    """Of one worker that is kept full with inputs of rows×640."""
    link, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(prefix="face-api-card-") as name, zmq.Context(1) as context:
        runtime_dir = Path(name)
        folder(runtime_dir).mkdir()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(runtime_dir, batch, card_s, theirs), daemon=True
        )
        process.start()
        link.recv()
        gateway = Gateway(runtime_dir, context, rows)
        try:
            gateway.ask(4 * batch)
            before = _clocks(link)
            sizes = gateway.ask(pictures)
            after = _clocks(link)
        finally:
            gateway.close()
            process.kill()
            process.join()
    loop, whole = ((now - then) / pictures * 1000 for then, now in zip(before, after, strict=True))
    return Cost(loop, whole - loop, sum(sizes) / len(sizes))


def _clocks(link: Connection) -> tuple[float, float]:
    link.send(None)
    answer: tuple[float, float] = link.recv()
    return answer


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.card_workers", description="Workers that a card wants.")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--card-ms", type=float, default=30.0, help="of a batch; so long that all are full")
    parser.add_argument("--pictures", type=int, default=1600)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    wanted = " | ".join(f"{card_ms:g} ms" for card_ms in CARDS_MS)
    print(
        f"Milliseconds of processor time for {options.batch} pictures; workers for cards that take so long for them.\n"
    )
    print(f"| input | in a run | loop | ZeroMQ | {wanted} |\n| --- | --- | --- | --- |{' --- |' * len(CARDS_MS)}")
    for rows in (SIDE, SIDE * 9 // 16):
        for _ in range(options.rounds):
            cost = measured(options.batch, options.card_ms / 1000, rows, options.pictures)
            times = f"{cost.batch:.1f} | {cost.loop_ms * options.batch:.2f} | {cost.socket_ms * options.batch:.2f}"
            workers = " | ".join(str(cost.workers(options.batch, card_ms)) for card_ms in CARDS_MS)
            print(f"| {SIDE}×{rows} | {times} | {workers} |", flush=True)
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
