"""`python -m loadtest.client`: the load generator, one thread over raw sockets, since it shares the cores it measures.

Closed loop: C clients, each sends its next request when it has its answer. Open loop: requests start at times
fixed beforehand whatever the answers do, and latency counts from those times (no coordinated omission).
Prints `begin` and `end` around what it counts, then its result as a line of JSON. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.questions import Question, questions

#: Beyond this many requests in flight an open loop has lost the server; more sockets would only measure the kernel.
CONNECTIONS_MAX = 512
#: How long answers may still take when the time is over.
DRAIN_S = 15.0
_STAGES = re.compile(rb"([a-z_]+);dur=([0-9.]+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_TIMING = re.compile(rb"\r\nserver-timing: *([^\r]*)", re.IGNORECASE)
_MASKED = re.compile(rb"\r\nx-face-count: *(\d+)", re.IGNORECASE)
_COUNT = re.compile(rb'"face_count": *(\d+)')


@dataclass(slots=True)
class Tally:
    """What was counted between begin and end."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    wrong: int = 0
    unfinished: int = 0
    received: int = 0
    stages_ms: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Connection:
    """One keep-alive connection with at most one request under way. since: when its latency started."""

    link: socket.socket
    question: Question | None = None
    unsent: memoryview | None = None
    blocked: bool = False
    received: bytearray = field(default_factory=bytearray)
    length: int = -1
    closes: bool = False
    since: float = 0.0


class Load:
    """The event loop: connections, what they wait for, and the tally."""

    def __init__(self, address: tuple[str, int], asked: list[Question]) -> None:
        self._address = address
        self._asked = asked
        self._number = 0
        self._poll = select.epoll()
        self._by_fd: dict[int, Connection] = {}
        self._idle: list[Connection] = []
        self._buffer = bytearray(1 << 18)
        self.counting = False
        self._counted_from = float("-inf")
        self.tally = Tally()

    @property
    def in_flight(self) -> int:
        return len(self._by_fd) - len(self._idle)

    def connect(self, count: int) -> None:
        for _ in range(count):
            link = socket.create_connection(self._address)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.setblocking(False)
            self._by_fd[link.fileno()] = connection = Connection(link)
            self._poll.register(link, select.EPOLLIN)
            self._idle.append(connection)

    def send(self, since: float) -> bool:
        """Starts the next request on an idle connection, opening one where there is none; False at the limit."""
        if not self._idle:
            if len(self._by_fd) >= CONNECTIONS_MAX:
                return False
            self.connect(1)
        connection = self._idle.pop()
        connection.question = self._asked[self._number % len(self._asked)]
        self._number += 1
        connection.unsent = memoryview(connection.question.request)
        connection.since = since
        self._write(connection)
        return True

    def wait(self, until: float) -> int:
        """Moves bytes until something is answered or the time comes; how many answers arrived."""
        left = max(0.0, until - time.perf_counter())
        answered = 0
        for fd, event in self._poll.poll(left):
            connection = self._by_fd[fd]
            if event & select.EPOLLOUT and connection.unsent:
                self._write(connection)
            if event & ~select.EPOLLOUT:
                answered += self._read(connection)
        return answered

    def _write(self, connection: Connection) -> None:
        assert connection.unsent is not None
        try:
            sent = connection.link.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        connection.unsent = connection.unsent[sent:] or None
        if (connection.unsent is not None) != connection.blocked:
            connection.blocked = not connection.blocked
            self._poll.modify(connection.link, select.EPOLLIN | (select.EPOLLOUT if connection.blocked else 0))

    def _read(self, connection: Connection) -> int:
        try:
            size = connection.link.recv_into(self._buffer)
        except ConnectionError:
            size = 0
        if size == 0:
            self._lost(connection)
            return 1
        connection.received += memoryview(self._buffer)[:size]
        if connection.length < 0:
            end = connection.received.find(b"\r\n\r\n")
            if end < 0:
                return 0
            match = _LENGTH.search(connection.received, 0, end + 2)
            if match is None:
                raise SystemExit("the server answers without Content-Length; this client reads no chunks")
            connection.length = end + 4 + int(match[1])
            connection.closes = _CLOSES.search(connection.received, 0, end + 2) is not None
        if len(connection.received) < connection.length:
            return 0
        self._answered(connection)
        return 1

    def _lost(self, connection: Connection) -> None:
        """The server closed the connection; a request under way counts as failed."""
        self._close(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        elif self.counting:
            self.tally.statuses["lost"] = self.tally.statuses.get("lost", 0) + 1

    def _close(self, connection: Connection) -> None:
        self._poll.unregister(connection.link)
        del self._by_fd[connection.link.fileno()]
        connection.link.close()

    def _answered(self, connection: Connection) -> None:
        if self.counting and connection.since >= self._counted_from:
            self._count(connection)
        connection.received = bytearray()
        connection.length = -1
        connection.question = None
        if connection.closes:  # as a balancer says on one that was idle for long: another request on it would be lost
            self._close(connection)
        else:
            self._idle.append(connection)

    def _count(self, connection: Connection) -> None:
        answer, tally = connection.received, self.tally
        status = answer[9:12].decode("latin-1")
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        if status != "200":
            return
        tally.received += len(answer)
        tally.latencies_ms.append((time.perf_counter() - connection.since) * 1000)
        count = _COUNT.search(answer) or _MASKED.search(answer)
        expected = connection.question.faces if connection.question else -1
        tally.wrong += count is None or (expected >= 0 and int(count[1]) != expected)
        if timing := _TIMING.search(answer):
            for name, spent in _STAGES.findall(timing[1]):
                key = name.decode()
                tally.stages_ms[key] = tally.stages_ms.get(key, 0.0) + float(spent)

    def begin(self, *, since: float = float("-inf")) -> float:
        """Counts from now on; in an open loop only what was due after `since`."""
        self.counting, self._counted_from = True, since
        print("begin", flush=True)
        return time.perf_counter()

    def end(self) -> float:
        now = time.perf_counter()
        print("end", flush=True)
        return now


def closed_loop(load: Load, clients: int, warm_s: float, seconds: float) -> float:
    """The counted wall time. What is answered between begin and end counts, whenever it started."""
    load.connect(clients)
    for _ in range(clients):
        load.send(time.perf_counter())
    _keep_busy(load, clients, time.perf_counter() + warm_s)
    begin = load.begin()
    _keep_busy(load, clients, begin + seconds)
    end = load.end()
    load.counting = False
    _drain(load, end + DRAIN_S)
    return end - begin


def _keep_busy(load: Load, clients: int, until: float) -> None:
    while time.perf_counter() < until:
        load.wait(until)
        while load.in_flight < clients:
            load.send(time.perf_counter())


def open_loop(load: Load, times: list[float], warm_s: float) -> float:
    """The counted wall time. What was due between begin and end counts, with all of its latency."""
    start = time.perf_counter() + 0.05
    due = deque(start + offset for offset in times)
    begin: float | None = None
    while due:
        now = time.perf_counter()
        if begin is None and now >= start + warm_s:
            begin = load.begin(since=start + warm_s)
        while due and due[0] <= now and load.send(due[0]):
            due.popleft()
        load.wait(min(due[0], now + 0.05) if due else now)
    assert begin is not None, "nothing arrived in the counted time"
    end = load.end()
    _drain(load, end + DRAIN_S)
    load.tally.unfinished = load.in_flight
    return end - begin


def _drain(load: Load, until: float) -> None:
    while load.in_flight and time.perf_counter() < until:
        load.wait(until)


def arrival_times(rate: float, seconds: float, arrivals: str, seed: int) -> list[float]:
    """Offsets in seconds: evenly spaced, or like independent callers (Poisson, the same ones for a seed)."""
    if arrivals == "even":
        return [number / rate for number in range(int(rate * seconds))]
    chance = random.Random(seed)
    times, now = [], chance.expovariate(rate)
    while now < seconds:
        times.append(now)
        now += chance.expovariate(rate)
    return times


def main(arguments: list[str]) -> int:
    """One measurement."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.client", description="One measurement of one server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", default="/api/v1/detect")
    parser.add_argument("--folder", type=Path, required=True, help="*.jpg, sent in turn")
    parser.add_argument("--faces", type=json.loads, default=[], help="JSON list: faces expected in each file")
    parser.add_argument("--body", choices=("multipart", "raw"), default="multipart")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.0, help="requests/s of an open loop; 0 is a closed loop")
    parser.add_argument("--arrivals", choices=("even", "poisson"), default="poisson")
    parser.add_argument("--seed", type=int, default=0, help="of Poisson arrivals")
    parser.add_argument("--warm", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args(arguments)
    host = f"{options.host}:{options.port}"
    asked = questions(options.folder, options.target, host, options.body, options.faces, options.header)
    load = Load((options.host, options.port), asked)
    if options.rate:
        times = arrival_times(options.rate, options.warm + options.seconds, options.arrivals, options.seed)
        counted_s = open_loop(load, times, options.warm)
    else:
        counted_s = closed_loop(load, options.clients, options.warm, options.seconds)
    print(json.dumps(result(load.tally, counted_s)), flush=True)
    return 0


def result(tally: Tally, seconds: float) -> dict[str, object]:
    """What the bench reads; stages are means per good answer."""
    good = len(tally.latencies_ms)
    return {
        "seconds": seconds,
        "answers": good,
        "statuses": tally.statuses,
        "wrong": tally.wrong,
        "unfinished": tally.unfinished,
        "received": tally.received,
        "client_cpu_s": time.process_time(),
        "latencies_ms": [round(one, 3) for one in tally.latencies_ms],
        "stages_ms": {name: spent / good for name, spent in tally.stages_ms.items()},
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
