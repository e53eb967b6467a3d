"""The balancers' own programs take the files that are made for them, and hold what these say."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from deploy.balancing import SHIPPED_HOSTS, Host, configuration
from deploy.timings import TimeTable
from loadtest.ports import free_ports
from shared.settings import MEBIBYTE
from tests.chaos.client import Answer, Client, Lost, NotReached
from tests.cluster.programs import program

HOSTS = {"two addresses": SHIPPED_HOSTS, "a name and IPv6": (Host("face-api.internal", 80), Host("2001:db8::1", 8000))}


@pytest.mark.parametrize("hosts", HOSTS.values(), ids=HOSTS)
def test_envoy_takes_its_file(hosts: tuple[Host, ...], tmp_path: Path) -> None:
    file, envoy = tmp_path / "envoy.yaml", program("envoy")
    assert envoy, "`make verify` installs Envoy into .venv-cluster"
    file.write_text(configuration("envoy", hosts))
    checked = subprocess.run([envoy, "--mode", "validate", "-c", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "deprecated" not in checked.stderr.lower(), checked.stderr


async def _host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[int]) -> None:
    """Breaks off whatever it was first sent whole, as one that dies; answers what comes later."""
    with (
        contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError),
        contextlib.closing(writer),
    ):
        while head := await reader.readuntil(b"\r\n\r\n"):
            if head.startswith(b"POST"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                asked.append(length)
                if len(asked) == 1:
                    return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def _unready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, looks: list[bytes]) -> None:
    """Answers, but says that it is not ready, as one that ends or was not looked at since it came."""
    with (
        contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError),
        contextlib.closing(writer),
    ):
        while head := await reader.readuntil(b"\r\n\r\n"):
            if is_look := b"/readyz" in head:
                looks.append(head)
            status = b"503 Service Unavailable" if is_look else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")


async def _through_a_death(name: str, folder: Path, size: int) -> Answer:
    """What a client is told whose request was the last of one of two hosts."""
    asked: list[int] = []
    hosts = [await asyncio.start_server(partial(_host, asked=asked), "127.0.0.1", 0) for _ in range(2)]
    addresses = [Host("127.0.0.1", host.sockets[0].getsockname()[1]) for host in hosts]
    try:
        async with _balancing(name, folder, addresses) as client:
            while not await _ready(client):  # noqa: ASYNC110 — another process
                await asyncio.sleep(0.1)
            client.close()  # on a connection that was used HAProxy says nothing, it closes it
            return await client.detect(bytes(size))
    finally:
        for host in hosts:
            host.close()


async def _while_none_is_ready(name: str, folder: Path) -> set[int]:
    """What clients are told when one host is gone and the other says that it is not ready."""
    looks: list[bytes] = []
    host = await asyncio.start_server(partial(_unready, looks=looks), "127.0.0.1", 0)
    addresses = [Host("127.0.0.1", port) for port in (free_ports(), host.sockets[0].getsockname()[1])]
    try:
        async with _balancing(name, folder, addresses) as client:
            while len(looks) <= TimeTable().looks_failed:  # noqa: ASYNC110 — another process
                await asyncio.sleep(0.1)
            return {(await client.get("/")).status for _ in range(10)}
    finally:
        host.close()


@contextlib.asynccontextmanager
async def _balancing(name: str, folder: Path, addresses: Sequence[Host]) -> AsyncIterator[Client]:
    """A client of the balancer, which may not listen yet."""
    port = free_ports()
    file = folder / f"{name}.yaml"
    text = configuration(name, addresses).replace("port_value: 9901", "port_value: 0")
    file.write_text(text.replace(":8080", f":{port}").replace("port_value: 8080", f"port_value: {port}"))
    options = {"envoy": ["-c"], "haproxy": ["-db", "-f"]}[name]
    command = [str(program(name)), *options, str(file)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = Client(port)
    try:
        async with asyncio.timeout(60):
            yield client
    finally:
        client.close()
        process.kill()
        await process.wait()


async def _ready(client: Client) -> bool:
    with contextlib.suppress(NotReached, Lost):
        return (await client.get("/")).status == 200
    return False


@pytest.mark.parametrize(
    ("name", "size", "status"),
    [
        ("envoy", 20 * MEBIBYTE, 200),
        ("haproxy", MEBIBYTE - 10_000, 200),
        ("haproxy", MEBIBYTE + 10_000, 502),
    ],
)
def test_what_a_balancer_holds_another_host_answers_and_the_rest_is_told(
    name: str, size: int, status: int, tmp_path: Path
) -> None:
    answer = asyncio.run(_through_a_death(name, tmp_path, size))
    assert answer.status == status
    if status == 502:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"detail": "the balancer: the host broke off; ask again"}


@pytest.mark.parametrize("name", ["envoy", "haproxy"])
def test_with_no_host_left_that_is_taken_for_well_all_are_asked(name: str, tmp_path: Path) -> None:
    assert asyncio.run(_while_none_is_ready(name, tmp_path)) == {200}
