"""What a balancer costs per request: processor time of Envoy and of HAProxy, for pictures of several sizes.

`python -m loadtest.balancer_cost [--held-bytes N …]`; N: how much HAProxy holds of a request. Behind them
answer two hosts that look at nothing. Both programs must be on the PATH; `.venv-cluster/bin` has Envoy.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy.balancing import HELD_BYTES, Host, configuration
from loadtest.cpu_time import cpu_seconds
from loadtest.ports import free_ports
from shared.settings import MEBIBYTE

#: Where the shipped files listen.
PORT = 8080
COMMANDS = {"envoy": ("envoy", "--concurrency", "2", "-c"), "haproxy": ("haproxy", "-db", "-f")}
SIZES = 23_000, 100_000, 400_000, 1_000_000, 3_000_000, 20_000_000
HELD = 131_072, HELD_BYTES["haproxy"], HELD_BYTES["envoy"]
CLIENTS = 8
BYTES = 50_000_000
REQUESTS_MIN, REQUESTS_MAX = 16, 400
TRIES = 200
ANSWER = b'{"detections": []}'


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A host: takes every request whole."""
    with (
        contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError),
        contextlib.closing(writer),
    ):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)


def _length(head: bytes) -> int:
    lines = [line.partition(b":") for line in head.lower().split(b"\r\n")]
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


async def ask(port: int, size: int, times: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = b"POST /api/v1/detect HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"\xff" * size
    with contextlib.closing(writer):
        for _ in range(times):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise OSError(head.partition(b"\r\n")[0].decode())
            await reader.readexactly(_length(head))


@contextlib.contextmanager
def balancer(name: str, hosts: list[Host], held_bytes: int, port: int) -> Iterator[int]:
    """Its process id."""
    with tempfile.TemporaryDirectory(prefix="fa-balancer-") as folder:
        file = Path(folder) / f"{name}.yaml"
        text = configuration(name, hosts, held_bytes=held_bytes)
        text = text.replace(f"bind :{PORT}", f"bind 127.0.0.1:{port}").replace("port_value: 9901", "port_value: 0")
        file.write_text(text.replace(f"0.0.0.0, port_value: {PORT}", f"127.0.0.1, port_value: {port}"))
        process = subprocess.Popen([*COMMANDS[name], str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait()


async def until_it_answers(port: int) -> None:
    for _ in range(TRIES):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            return await ask(port, 1000, CLIENTS)
        await asyncio.sleep(0.1)
    raise AssertionError("the balancer does not answer")


async def cost_s(pid: int, port: int, size: int) -> float:
    """Processor time per request."""
    times = min(max(BYTES // size, REQUESTS_MIN), REQUESTS_MAX) // CLIENTS
    before = cpu_seconds(pid)
    await asyncio.gather(*(ask(port, size, times) for _ in range(CLIENTS)))
    return (cpu_seconds(pid) - before) / (times * CLIENTS)


async def measure(name: str, held_bytes: int) -> list[float]:
    port = free_ports()
    servers = [await asyncio.start_server(answer, "127.0.0.1", 0, limit=32 * MEBIBYTE) for _ in range(2)]
    hosts = [Host("127.0.0.1", server.sockets[0].getsockname()[1]) for server in servers]
    with balancer(name, hosts, held_bytes, port) as pid:
        await until_it_answers(port)
        return [await cost_s(pid, port, size) for size in SIZES]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.balancer_cost", description=__doc__)
    parser.add_argument("--held-bytes", type=int, nargs="*", default=HELD)
    rows = [("envoy", HELD_BYTES["envoy"]), *(("haproxy", held) for held in parser.parse_args().held_bytes)]
    print(f"{'ms a request of':28}" + "".join(f"{size / 1e6:9.3f} MB" for size in SIZES))
    for name, held in rows:
        costs = asyncio.run(measure(name, held))
        print(f"{name}, holds {held:>10} bytes" + "".join(f"{cost * 1000:12.2f}" for cost in costs), flush=True)


if __name__ == "__main__":
    main()
