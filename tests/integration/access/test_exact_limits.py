"""Exactly the limit passes, however many processes count: with a file, with a server, and through the whole service."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.integration.access.servers import valkey
from tests.service import ROOT, SMALL, running_service

PROCESSES, EACH, LIMIT = 4, 250, 300
WINDOW_S = 8.0


@contextmanager
def gateways(folder: Path, *redis_urls: str) -> Iterator[list[subprocess.Popen[str]]]:
    words = [sys.executable, "-m", "tests.integration.access.burst", str(folder), str(EACH), str(WINDOW_S), *redis_urls]
    processes = [
        subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def burst(processes: list[subprocess.Popen[str]], address: int) -> tuple[int, float]:
    """How many passed of all together, and seconds until their window ends. Nobody had to count alone."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{address}\n")
        process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for process in processes if process.stdout is not None]
    assert [answer["failures"] for answer in answers] == [{}] * PROCESSES
    return sum(answer["passed"] for answer in answers), max(answer["reset_s"] for answer in answers)


def test_four_processes_share_one_file_and_one_server_for_two_windows(tmp_path: Path) -> None:
    with valkey(tmp_path) as server, gateways(tmp_path, "", server.url) as processes:
        resets = []
        for _ in range(2):
            time.sleep(max(resets, default=0.0))
            resets.clear()
            for address in range(2):
                passed, reset_s = burst(processes, address)
                assert passed == LIMIT
                assert 0 < reset_s <= WINDOW_S
                resets.append(reset_s)


FORGED = [b"", b"::1", b"unknown", b"10.0.0.1", b"1.2.3.4:notaport", b"[::1]:80", b"x" * 5000]


def test_a_thousand_connections_to_four_gateway_processes_whatever_they_forge(model: Path, tmp_path: Path) -> None:
    """No picture is sent: 400 is an answer that was let in, and costs no worker."""
    settings = {
        "gateway_processes": 4,
        "max_connections_per_address": 2000,
        "max_queue": 2000,
        "queue_share": 1,
        "header_timeout": 60,  # a busy machine takes long from connecting to asking
        "rate_limit_window": 600,
        **SMALL,
    }
    with running_service(
        tmp_path / "var", model=model, precision="fp32", rate_limit_enabled="true", **settings
    ) as service:
        statuses = asyncio.run(knock_a_thousand_times(service.url))
    assert statuses == Counter({400: LIMIT, 429: 1000 - LIMIT})


async def knock_a_thousand_times(url: str) -> Counter[int]:
    address = urlsplit(url)

    async def knock(number: int) -> int:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        forged = FORGED[number] if number < len(FORGED) else b"%d.%d.7.7" % (number % 200, number // 200)
        writer.write(
            b"POST /api/v1/detect HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: image/png\r\n"
            b"X-Forwarded-For: " + forged + b"\r\nX-Real-IP: " + forged[:40] + b"\r\nContent-Length: 3\r\n\r\nabc"
        )
        line = await reader.readline()
        await reader.read()
        writer.close()
        return int(line.split()[1])

    async with asyncio.timeout(300):
        return Counter(await asyncio.gather(*(knock(number) for number in range(1000))))
