"""`python -m loadtest.calls`: what one detect request costs the gateway: its calls of Python and C, its processor time.

A gateway process as it serves, with its picture child, in this process; its worker finds three faces without a
network. One client sends one request after the other. A count is the same every time, on every machine: of many
requests it is the one in the middle, so that what else the gateway does now and then stands beside it. Processor
time is of the gateway's thread alone, without the counting, and is noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FrameType

import msgspec
import numpy as np
import uvicorn
import uvloop
import zmq

from gateway.app import create_app
from gateway.server import DrainingServer, connections_of, uvicorn_options
from gateway.services import Services, services_of
from loadtest.access_cost import PLENTY, key_of
from loadtest.pictures import Kind, make
from loadtest.questions import questions
from models.served.anchors import STRIDES, anchor_count
from shared import announcement
from shared.announcement import Announcement
from shared.messages import Canary, ModelInfo, Welcome
from shared.settings import Settings
from worker.credit import CreditLedger
from worker.crop_view import open_view
from worker.detector import ImageBatch
from worker.micro_batch import MicroBatcher
from worker.pipeline import Pipeline
from worker.router import Router
from worker.scrfd import Heads
from worker.serve import Serving

ROOT = Path(__file__).resolve().parent.parent
DETECT, FACES = "/api/v1/detect", 3
GENERATION, CAPACITY, SIDE = "told", 4, 640
#: Requests before anything counts, and that are counted; after each the gateway is left to finish its books.
WARM_UP, COUNTED, PAUSE_S = 30, 15, 0.02
START_S_MAX = 120.0
_HEAD = re.compile(rb"HTTP/1.1 (\d+).*?\r\ncontent-length: (\d+)\r\n.*?\r\n\r\n", re.DOTALL)


class Row(msgspec.Struct, frozen=True):
    """A room or a function: how often it was called, and how often it called C."""

    name: str
    python: int
    c: int

    @property
    def calls(self) -> int:
        return self.python + self.c


class Found(msgspec.Struct, frozen=True):
    """Of one request. rooms, functions: most calls first. cpu_ms: of each round, in order."""

    python: int
    c: int
    rooms: list[Row]
    functions: list[Row]
    cpu_ms: list[float]


@dataclass(slots=True)
class Calls:
    """What a thread called since the last `take`. A generator or coroutine that goes on is called once more."""

    python: Counter[CodeType] = field(default_factory=Counter)
    c: Counter[CodeType] = field(default_factory=Counter)

    def heard(self, frame: FrameType, event: str, _argument: object) -> None:
        """For `sys.setprofile`."""
        if event == "call":
            self.python[frame.f_code] += 1
        elif event == "c_call":
            self.c[frame.f_code] += 1

    def take(self) -> Calls:
        taken = Calls(self.python, self.c)
        self.python, self.c = Counter(), Counter()
        return taken

    @property
    def total(self) -> int:
        return self.python.total() + self.c.total()

    def by(self, name_of: Callable[[CodeType], str]) -> list[Row]:
        """Most calls first."""
        python: Counter[str] = Counter()
        c: Counter[str] = Counter()
        for counted, named in ((self.python, python), (self.c, c)):
            for code, count in counted.items():
                named[name_of(code)] += count
        rows = [Row(name, python[name], c[name]) for name in python | c]
        return sorted(rows, key=lambda row: (-row.calls, row.name))


def room_of(code: CodeType) -> str:
    """`gateway/edge`, `starlette`, `contextlib`; what dataclasses write for themselves is theirs."""
    path = Path(code.co_filename)
    if path.is_relative_to(ROOT) and ".venv" not in path.parts:
        return str(path.relative_to(ROOT).parent)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1].removesuffix(".py")
    return "dataclasses" if code.co_filename == "<string>" else path.parent.name + "/" + path.stem


def function_of(code: CodeType) -> str:
    place = "" if code.co_filename == "<string>" else f"{Path(code.co_filename).name}:"
    return f"{place}{code.co_qualname}"


class Told:
    """A detector whose faces are told, not found."""

    provider, landmarks = "StubExecutionProvider", True

    def run(self, images: ImageBatch) -> Heads:
        size, batch = images.shape[1:3], len(images)

        def blank(columns: int) -> tuple[np.ndarray, ...]:
            return tuple(np.zeros((batch, anchor_count(size, stride), columns), np.float32) for stride in STRIDES)

        heads = Heads(size, blank(1), blank(4), blank(10))
        places = np.s_[:, 0 : FACES * 10 : 10]  # too far from each other to be one face
        heads.scores[2][places], heads.distances[2][places] = 0.9, 1.0
        return heads


def serve_told_faces(runtime_dir: Path) -> None:
    """A worker without a network, until SIGTERM."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    info = ModelInfo("told", "fp32", Told.provider, SIDE, True, 1, True, "MIT", "0" * 64)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    router = Router(context, "ipc", runtime_dir, GENERATION, CAPACITY)
    announcement.announce(runtime_dir, Announcement(0, GENERATION, router.address, os.getpid()))
    Serving(
        sockets=router,
        pipeline=Pipeline(Told(), 1, print),
        welcome=Welcome(GENERATION, 0, os.getpid(), CAPACITY, 1, info, Canary(0.5, 0.4, [], 1.0, 0.1)),
        batcher=MicroBatcher(1, 0.0),
        ledger=CreditLedger(CAPACITY),
        told=print,
        stopping=lambda: bool(asked),
        view=open_view,
    ).run()
    router.close()
    context.term()


@contextlib.contextmanager
def process_of(work: Callable[..., None], *arguments: object) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


@contextlib.contextmanager
def quiet_errors(folder: Path) -> Iterator[None]:
    """The gateway's log goes to a file, as a supervisor would have it."""
    sys.stderr.flush()
    before, log = os.dup(2), os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)


def ask(link: Connection) -> None:
    """The client, in a process of its own. Told an address and a request, then how often to ask, over and over."""
    address, request = link.recv()
    with socket.create_connection(address) as server:
        while count := link.recv():
            for _ in range(count):
                _ask(server, request)
            link.send(count)


def _ask(server: socket.socket, request: bytes) -> None:
    server.sendall(request)
    received = bytearray()
    while not (head := _HEAD.match(received)) or len(received) < head.end() + int(head[2]):
        some = server.recv(1 << 16)
        if not some:
            raise RuntimeError("the gateway has closed the connection")
        received += some
    if head[1] != b"200" or b'"face_count":%d,' % FACES not in received:
        raise RuntimeError(f"a wrong answer: {received.decode(errors='replace')}")


class Measuring(threading.Thread):
    """Has the gateway of the main thread asked, and measures that thread. What fails here is raised by `result`."""

    def __init__(self, options: argparse.Namespace, server: DrainingServer, client: Connection, pictures: Path) -> None:
        super().__init__()
        self._options, self._server, self._client, self._pictures = options, server, client, pictures
        self._loop = asyncio.get_running_loop()
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self._counted: list[Calls] = []
        self._cpu_ms: list[float] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._measure()
        except BaseException as error:
            self._error = error
        self._loop.call_soon_threadsafe(self._server.handle_exit, signal.SIGINT, None)

    def result(self) -> Found:
        self.join()
        if self._error is not None:
            raise self._error
        middle = sorted(self._counted, key=lambda calls: calls.total)[len(self._counted) // 2]
        rooms, functions = middle.by(room_of), middle.by(function_of)
        return Found(middle.python.total(), middle.c.total(), rooms, functions, self._cpu_ms)

    def _measure(self) -> None:
        services = _services_of(self._server)
        headers = [f"X-API-Key: {key_of(services.door)}"] if self._options.keys else []
        request = questions(self._pictures, DETECT, "127.0.0.1", self._options.body, [], headers)[0].request
        self._client.send((self._server.servers[0].sockets[0].getsockname(), request))
        self._ask(WARM_UP)
        self._count()
        self._cpu_ms = [self._round_ms() for _ in range(self._options.rounds)]
        self._client.send(0)

    def _ask(self, count: int) -> None:
        """So many requests; afterwards the gateway has finished its books."""
        self._client.send(count)
        self._client.recv()
        time.sleep(PAUSE_S)

    def _count(self) -> None:
        calls = Calls()
        self._loop.call_soon_threadsafe(sys.setprofile, calls.heard)
        for _ in range(COUNTED):
            calls.take()
            self._ask(1)
            self._counted.append(calls.take())
        self._loop.call_soon_threadsafe(sys.setprofile, None)

    def _round_ms(self) -> float:
        count: int = self._options.requests
        before = time.clock_gettime(self._clock)
        self._ask(count)
        return round((time.clock_gettime(self._clock) - before) / count * 1000, 4)


def _services_of(server: DrainingServer) -> Services:
    """Once it serves."""
    until = time.monotonic() + START_S_MAX
    while not server.started or not (services := services_of({"state": server.lifespan.state})).dispatcher.workers:
        if time.monotonic() > until:
            raise RuntimeError("the gateway does not start")
        time.sleep(PAUSE_S)
    return services


async def serve(options: argparse.Namespace, settings: Settings, client: Connection, pictures: Path) -> Found:
    """Until all is measured."""
    connections = connections_of(settings)
    config = uvicorn.Config(
        create_app(settings), host="127.0.0.1", port=0, log_level="error", **uvicorn_options(settings, connections)
    )
    server = DrainingServer(config, settings, connections)
    measuring = Measuring(options, server, client, pictures)
    measuring.start()
    await server.serve()
    return measuring.result()


def table(found: Found, top: int) -> str:
    """In columns."""
    lines = [f"{'':44}{'all':>7}{'Python':>8}{'C':>7}", _line(Row("one request", found.python, found.c)), ""]
    lines += [*map(_line, found.rooms), "", *map(_line, found.functions[:top]), ""]
    told = ", ".join(f"{one:.3f}" for one in sorted(found.cpu_ms))
    return "\n".join([*lines, f"processor time of the gateway's thread, ms a request, by round: {told}"])


def _line(row: Row) -> str:
    return f"{row.name[-43:]:44}{row.calls:>7}{row.python:>8}{row.c:>7}"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.calls", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keys", action="store_true", help="with a key and a rate limit, as the defaults have it")
    parser.add_argument("--body", choices=("multipart", "raw"), default="multipart")
    parser.add_argument("--requests", type=int, default=100, help="in each round of processor time")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--top", type=int, default=40, help="functions to print")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="face-api-calls-") as name:
        folder = Path(name)
        make(Kind("360p", "few"), folder / "pictures", None)
        settings = Settings(
            data_dir=str(folder / "var"), runtime_dir=str(folder), decode_processes=1, metrics_port=-1,
            api_key_enabled=options.keys, rate_limit_enabled=options.keys, rate_limit_detect=PLENTY,
        )  # fmt: skip
        (folder / "workers").mkdir()
        ours, theirs = multiprocessing.Pipe()
        with quiet_errors(folder), process_of(serve_told_faces, folder), process_of(ask, theirs):
            theirs.close()
            found = uvloop.run(serve(options, settings, ours, folder / "pictures"))
    print(msgspec.json.encode(found).decode() if options.json else table(found, options.top))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
