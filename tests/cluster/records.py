"""Two hosts that keep their records in one PostgreSQL and one bucket: what one keeps the other has, and one sweeps.

The bucket stands behind a wire on which every word of the hosts is read: which objects they delete, and how often.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import httpx2
from sqlalchemy import func, select

from gateway.records.image_table import IMAGES
from gateway.records.table import JOBS
from gateway.stores.database import open_database
from gateway.stores.objects import MARK
from shared.settings import Settings
from tests.buckets import NAME, Bucket, bucket
from tests.cluster import servers
from tests.cluster.hosts import BALANCER, Host, open_hosts
from tests.cluster.seen import Seen, seen
from tests.cluster.state import url
from tests.rounds.asking import HEADERS, PICTURE

HOSTS, STUB_MS = 2, 1
#: More than a sweep takes at once, so that both hosts sweep at the same time.
PICTURES = 450
TOGETHER = 8
#: Until the last has expired, a sweep has come round, and a host that died is replaced by the other.
TTL_S, SWEPT_S_MAX = 72.0, 240.0
KEY = re.compile(rb"<Key>pictures/([0-9a-f]{32})</Key>")
PUT = re.compile(
    rb"PUT /%b/pictures/([0-9a-f]{32}) [^\n]*\n(?:[^\n]+\n)*?content-type: image/" % NAME.encode(), re.IGNORECASE
)
LISTING = re.compile(rb"GET /%b\?[^ ]*list-type=2" % NAME.encode())
NOTHING = (0, {f"pictures/{MARK}"})
URL = f"postgresql://tester:{servers.PASSWORD}@{servers.POSTGRES.address}:{servers.POSTGRES.port}/face_api"
MORE = {
    "records": "required", "records_ttl": TTL_S / 3600, "database_url": URL, "storage_url": f"s3://{NAME}/pictures",
    "metrics_port": servers.METRICS_PORT, "key_pepper": "5" * 64, "api_key_enabled": "false",
}  # fmt: skip


class Wire:
    """Carries what hosts and bucket say to one another, in a thread of its own. said: by each connection's host."""

    def __init__(self, server: Bucket) -> None:
        self.said: list[bytearray] = []
        self._port = urlsplit(server.environment["AWS_ENDPOINT_URL_S3"]).port
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, daemon=True).start()
        beginning = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._carry, BALANCER, 0), self._loop)
        self.url = f"http://{BALANCER}:{beginning.result(10).sockets[0].getsockname()[1]}"

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        heard = bytearray()
        self.said.append(heard)
        await asyncio.gather(
            _pass_on(reader, back, heard), _pass_on(there, writer, bytearray()), return_exceptions=True
        )

    def deleted(self) -> Counter[bytes]:
        """How often each picture was."""
        put = {name for heard in self.said for name in PUT.findall(heard)}
        return Counter(name for heard in self.said for name in KEY.findall(heard) if name in put)

    def twice(self) -> int:
        return sum(count > 1 for count in self.deleted().values())

    def listings(self) -> int:
        return sum(len(LISTING.findall(heard)) for heard in self.said)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray) -> None:
    while data := await reader.read(65536):
        heard += data
        writer.write(data)
        await writer.drain()
    writer.close()


async def _keep(hosts: list[Host], count: int) -> list[str]:
    """Pictures by turns at each host; the ids that were told."""
    told: list[str] = []

    async def some(client: httpx2.AsyncClient, first: int) -> None:
        for number in range(first, count, TOGETHER):
            place = url(hosts[number % len(hosts)])
            answer = await client.post(f"{place}/api/v1/mask", content=PICTURE, headers=HEADERS)
            told.append(answer.headers["X-Image-Id"])

    async with httpx2.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as clients:
        for first in range(TOGETHER):
            clients.create_task(some(client, first))
    return told


async def _crosswise(hosts: list[Host]) -> list[int]:
    """Kept by one, read and deleted by the other, gone at the first."""
    (image_id,) = await _keep(hosts[:1], 1)
    first, other = (f"{url(host)}/api/v1/images/{image_id}" for host in hosts)
    async with httpx2.AsyncClient(timeout=60) as client:
        answers = [await client.get(f"{other}/content"), await client.delete(other), await client.get(first)]
        return [answer.status_code for answer in answers]


async def _swept(hosts: list[Host]) -> int:
    """Images, by all hosts."""
    async with httpx2.AsyncClient(timeout=60) as client:
        pages = [await client.get(f"http://{host.address.address}:{servers.METRICS_PORT}/metrics") for host in hosts]
    counts = [re.search(r'event="images_swept"\} (\d+)', page.text) for page in pages]
    return sum(int(count[1]) for count in counts if count)


def _rows() -> int:
    database = open_database(Settings(database_url=URL))
    with database.read() as connection:
        counts = [connection.execute(select(func.count()).select_from(each)).scalar_one() for each in (JOBS, IMAGES)]
    database.close()
    return sum(counts)


async def _until_swept(server: Bucket) -> tuple[int, set[str]]:
    """(rows, objects) that are left, at last but what a bucket holds in any case."""
    end = time.monotonic() + SWEPT_S_MAX
    left = _rows(), server.names()
    while left != NOTHING and time.monotonic() < end:
        await asyncio.sleep(1)
        left = _rows(), server.names()
    return left


async def _rehearsed(hosts: list[Host], server: Bucket, wire: Wire) -> list[Seen]:
    found = [seen("two hosts", "read and deleted by the other", [200, 204, 404], await _crosswise(hosts))]
    before = sum(wire.deleted().values())
    told = await _keep(hosts, PICTURES)
    found.append(seen("two hosts", "different ids", PICTURES, len(set(told))))
    found.append(seen("all expired", "rows and objects left", NOTHING, await _until_swept(server)))
    found.append(seen("all expired", "deletions", PICTURES, sum(wire.deleted().values()) - before))
    found.append(seen("all expired", "deleted more than once", 0, wire.twice()))
    await asyncio.sleep(2)  # metrics are told by the second
    found.append(seen("all expired", "swept, by both", PICTURES, await _swept(hosts)))
    await _keep(hosts[:1], PICTURES // 3)
    await asyncio.to_thread(hosts[0].kill)
    found.append(seen("a host killed", "rows and objects left", NOTHING, await _until_swept(server)))
    found.append(seen("a host killed", "deleted more than once", 0, wire.twice()))
    found.append(seen("in all", "comparisons", 1, wire.listings()))
    return found


def rehearse_records() -> list[Seen]:
    """To be asked for once, on a wire that lies."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fa-postgres-")))
        stack.enter_context(servers.running(servers.postgres(folder)))
        server = stack.enter_context(bucket())
        wire = Wire(server)
        os.environ.update(server.environment | {"AWS_ENDPOINT_URL_S3": wire.url})
        hosts = stack.enter_context(open_hosts(HOSTS, STUB_MS, MORE))
        os.environ.update(server.environment)  # who looks at the bucket from here is not on the wire
        return asyncio.run(_rehearsed(hosts, server, wire))
