"""`python -m loadtest.wire_cost`: what a crop costs on its way to a worker of the same host, and by reference instead.

Two processes over one ipc socket, as gateway and worker: either the crop goes through the socket, as it is served, or
it is copied into memory that both have mapped, and the message says where. Either way the worker copies it into its
batch. Processor time of both, in turns; what a slot's credit and recovery would cost by reference is not in it.
"""

from __future__ import annotations

import argparse
import mmap
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq

#: Crops of the common formats in an input of 640: rows, columns.
SIZES = ((360, 640), (480, 640), (640, 640))
WAYS = ("through the socket", "by reference")
HEADER = b"h" * 120


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of processor time a crop, of both ends: the median over the rounds."""

    rows: int
    cols: int
    socket_ms: float
    reference_ms: float


def worker(address: str, memory: mmap.mmap, told: Connection) -> None:
    """Takes crops and answers each; tells its processor seconds after every part."""
    end: zmq.Socket[bytes] = zmq.Context().socket(zmq.DEALER)
    end.connect(address)
    end.send(b"here")
    shared = np.frombuffer(memory, np.uint8)
    while (part := told.recv()) is not None:
        way, size, count = part
        batch = np.empty(size, np.uint8)
        began = time.process_time()
        for _ in range(count):
            frames: Any = end.recv_multipart(copy=False)
            batch[:] = np.frombuffer(frames[1].buffer, np.uint8) if way == WAYS[0] else shared[:size]
            end.send(b"found")
        told.send(time.process_time() - began)


def costs(rounds: int, count: int) -> list[Cost]:
    """Of each size, both ways in turns."""
    largest = max(rows * cols * 3 for rows, cols in SIZES)
    memory, (here, there) = mmap.mmap(-1, largest), multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        end: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        address = f"ipc://{Path(folder) / 'wire'}"
        end.bind(address)
        process = multiprocessing.get_context("fork").Process(target=worker, args=(address, memory, there), daemon=True)
        process.start()
        peer = end.recv_multipart()[0]
        try:
            return [_cost_of(end, peer, memory, here, size, rounds, count) for size in SIZES]
        finally:
            here.send(None)
            process.join()
            end.close()


def _cost_of(
    end: zmq.Socket[bytes],
    peer: bytes,
    memory: mmap.mmap,
    worker_end: Connection,
    size: tuple[int, int],
    rounds: int,
    count: int,
) -> Cost:
    rows, cols = size
    crop, shared = np.full(rows * cols * 3, 128, np.uint8), np.frombuffer(memory, np.uint8)
    frames: list[Any] = [peer, HEADER, crop]
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            worker_end.send((way, crop.size, count))
            began = time.process_time()
            for _ in range(count):
                if way == WAYS[0]:
                    end.send_multipart(frames, copy=False)
                else:
                    shared[: crop.size] = crop
                    end.send_multipart([peer, HEADER, b"slot"])
                end.recv_multipart()
            own = time.process_time() - began
            spent[way].append((own + worker_end.recv()) / count * 1000)
    socket_ms, reference_ms = (statistics.median(spent[way]) for way in WAYS)
    return Cost(rows=rows, cols=cols, socket_ms=socket_ms, reference_ms=reference_ms)


def main() -> None:
    """Prints a line a size, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.wire_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=300, help="crops a round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = costs(options.rounds, options.count)
    if options.json:
        print(msgspec.json.encode(found).decode())
        return
    for cost in found:
        spared = cost.socket_ms - cost.reference_ms
        print(
            f"{cost.cols}x{cost.rows}: {cost.socket_ms:.3f} ms {WAYS[0]}, {cost.reference_ms:.3f} {WAYS[1]}; "
            f"{spared:.3f} ms less"
        )


if __name__ == "__main__":
    main()
