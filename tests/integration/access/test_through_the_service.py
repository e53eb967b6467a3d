"""Access as callers of the whole service meet it, and what it leaves in logs, files and answers."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import httpx2
import pytest

from gateway.keys.opening import open_store, peppers_for
from gateway.keys.records import Draft
from gateway.stores.key_format import new_key
from shared.settings import Settings
from tests.networks import beacon_picture
from tests.service import ROOT, SMALL, Service, environment, processes_below, running_service
from tests.unit.access.stores import ME
from tests.waiting import wait_until

KEY = re.compile(rb"xyl_[0-9a-f]{64}")


@pytest.fixture(scope="module")
def png() -> bytes:
    return bytes(cv2.imencode(".png", beacon_picture([(200.0, 200.0, 100.0, 0.9)]))[1].tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(model: Path, folder: Path) -> Iterator[Service]:
    """Two gateway processes, an explicitly configured store, everything logged."""
    settings = {"gateway_processes": 2, "precision": "fp32", "log_level": "debug", "rate_limit_wrong_keys": 1000}
    settings |= {"rate_limit_detect": 40, "database_url": f"sqlite:///{folder / 'store.sqlite'}", **SMALL}
    with running_service(
        folder / "var", model=model, api_key_enabled="true", rate_limit_enabled="true", **settings
    ) as service:
        yield service


class Keys:
    """Keys made beside the running service, straight in its store."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(data_dir=str(folder / "var"), database_url=f"sqlite:///{folder / 'store.sqlite'}")
        self.store = open_store(settings)
        self._peppers = peppers_for(settings, self.store)

    def make(self, **draft: Any) -> str:
        return self.store.create(Draft(**({"name": "n"} | draft)), self._peppers, ME, time.time()).key


@pytest.fixture(scope="module")
def keys(service: Service, folder: Path) -> Keys:
    return Keys(folder)


def command_line(folder: Path, *words: str) -> Any:
    """python -m gateway.keys beside the running service."""
    command = [sys.executable, "-m", "gateway.keys", *words, "--json"]
    env = environment(data_dir=folder / "var", database_url=f"sqlite:///{folder / 'store.sqlite'}")
    return json.loads(subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout)


def ask(service: Service, key: str | None, png: bytes, path: str = "/api/v1/mask", **more: Any) -> httpx2.Response:
    headers = {} if key is None else {"X-API-Key": key}
    return httpx2.post(service.url + path, headers=headers, files={"image": png}, timeout=60, **more)


def test_the_first_key_lets_in_and_the_limits_are_told(service: Service, folder: Path, png: bytes) -> None:
    first = (folder / "var" / "first-key.txt").read_text().strip()
    assert first not in service.output
    answer = ask(service, first, png)
    assert answer.status_code == 200
    assert answer.headers["ratelimit-policy"] == '"mask";q=150;w=60'
    assert re.fullmatch(r'"mask";r=\d+;t=\d+', answer.headers["ratelimit"])
    assert "server" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_refusal_is_json_with_its_status(service: Service, keys: Keys, png: bytes) -> None:
    expiring, masks = keys.make(expires_in_s=0.01), keys.make(scopes=("mask",))
    for key, path, status, words in (
        (None, "/api/v1/detect", 401, "Missing API key"),
        (new_key(), "/api/v1/detect", 401, "Invalid API key"),
        ("xyl_typo", "/api/v1/detect", 401, "Invalid API key"),
        (expiring, "/api/v1/detect", 401, "expired"),
        (masks, "/api/v1/detect", 403, "may not use detect"),
        (masks, "/api/v1/mask?api_key=" + masks, 422, "must not stand in the URL"),
        (None, "/api/v1/admin/keys", 401, "Missing API key"),
        (masks, "/api/v1/admin/keys", 403, "may not use admin"),
    ):
        answer = ask(service, key, png, path)
        assert answer.status_code == status, (path, answer.text)
        assert words in answer.json()["detail"]
        assert answer.headers.get("www-authenticate") == ('ApiKey realm="face-api"' if status == 401 else None)
        assert not KEY.search(answer.content)


def test_a_revoked_key_is_refused_as_soon_as_a_process_knows(service: Service, keys: Keys, png: bytes) -> None:
    """One that looked at the store in between lets it in for a moment: to mask, whose limit is far."""
    revoked = keys.make(name="revoked")
    keys.store.revoke(keys.store.page(0, search="revoked")[0][0].id, ME, time.time())
    answers: list[httpx2.Response] = []

    def is_refused() -> bool:
        answers.append(ask(service, revoked, png))
        return answers[-1].status_code == 403

    wait_until(is_refused)
    assert "revoked" in answers[-1].json()["detail"]
    assert not KEY.search(answers[-1].content)


def test_a_refusal_comes_before_the_body(service: Service) -> None:
    """20 MB are announced and never sent; the answer is there at once."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(
            b"POST /api/v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 20000000\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_the_limit_is_exact_and_ends_with_words(service: Service, keys: Keys, png: bytes) -> None:
    key, own = keys.make(), keys.make(detect_limit=60)
    answers = [ask(service, key, png, "/api/v1/detect") for _ in range(45)]
    assert [answer.status_code for answer in answers] == [200] * 40 + [429] * 5
    last = answers[-1]
    assert last.json()["detail"].startswith("Rate limit of 40 detect requests in 60 s exceeded; retry in ")
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert re.fullmatch(rf'"detect";r=0;t={last.headers["retry-after"]}', last.headers["ratelimit"])
    forged = httpx2.post(
        service.url + "/api/v1/detect", headers={"X-API-Key": key, "X-Forwarded-For": "1.2.3.4"}, files={"image": png}
    )
    assert forged.status_code == 429
    assert ask(service, own, png, "/api/v1/detect").status_code == 200
    assert "FACE_API_TRUSTED_PROXIES=127.0.0.1" in service.output


@pytest.mark.parametrize(
    ("path", "body", "more", "status"),
    [
        ("/api/v1/detect?confidence=2", b"x", {}, 422),
        ("/api/v1/detect", b"no picture", {}, 400),
        ("/api/v1/detect", b"x", {"Content-Type": "text/plain"}, 415),
        ("/api/v1/mask", b"x", {"Content-Encoding": "gzip"}, 415),
        ("/api/v1/admin/keys/none", None, {}, 403),
    ],
)
def test_every_answer_behind_the_limit_tells_how_it_stands(
    service: Service, keys: Keys, path: str, body: bytes | None, more: dict[str, str], status: int
) -> None:
    headers = {"X-API-Key": keys.make(detect_limit=9, mask_limit=9), "Content-Type": "image/png"} | more
    answer = httpx2.request("GET" if body is None else "POST", service.url + path, headers=headers, content=body)
    assert answer.status_code == status, answer.text
    assert ("ratelimit" in answer.headers) == (status != 403)  # refused before the limit was asked


def test_a_503_of_the_callers_own_deadline_is_charged(service: Service, keys: Keys, png: bytes) -> None:
    headers = {"X-API-Key": keys.make(mask_limit=3), "X-Request-Timeout-Ms": "1"}
    answers = [httpx2.post(service.url + "/api/v1/mask", headers=headers, files={"image": png}) for _ in range(5)]
    assert {answer.status_code for answer in answers[:3]} <= {503, 408}
    assert [answer.status_code for answer in answers[3:]] == [429, 429]


def test_a_revocation_on_the_command_line_ends_the_key_in_every_process(
    service: Service, folder: Path, png: bytes
) -> None:
    made = command_line(folder, "create", "--name", "ends")
    assert ask(service, made["key"], png).status_code == 200
    command_line(folder, "revoke", made["id"])
    wait_until(lambda: {ask(service, made["key"], png).status_code for _ in range(8)} == {403})  # promised within 5 s


def test_a_503_is_not_charged(service: Service, keys: Keys, png: bytes) -> None:
    """Uploads that never end fill one client's share of both processes; what comes beyond it is 503 and free."""
    key = keys.make(mask_limit=1000)
    refused = asyncio.run(fill_the_house(service.url, key, 450))
    assert refused > 0
    wait_until(lambda: ask(service, key, png).status_code == 200)
    left = re.match(r'"mask";r=(\d+);', ask(service, key, png).headers["ratelimit"])
    assert left is not None
    assert 1000 - (450 - refused) - int(left[1]) in range(2, 10)  # the last ones above


async def fill_the_house(url: str, key: str, count: int) -> int:
    """Begins so many uploads at once, leaves when no more are refused; how many were."""
    address = urlsplit(url)
    head = f"POST /api/v1/mask HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: image/png\r\n"

    async def begin() -> tuple[asyncio.StreamWriter, asyncio.Task[bytes]]:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(head.encode() + b"Content-Length: 1000\r\n\r\n\x89PNG")
        return writer, asyncio.create_task(reader.readline())

    begun = await asyncio.gather(*(begin() for _ in range(count)))
    counted, answers = -1, list[bytes]()
    while counted != len(answers):
        counted = len(answers)
        await asyncio.sleep(3)
        answers = [task.result() for _, task in begun if task.done()]
    assert {answer.split()[1] for answer in answers} <= {b"503"}
    for writer, task in begun:
        task.cancel()
        writer.close()
    return len(answers)


def test_admin_actions_over_http(service: Service, keys: Keys) -> None:
    boss = {"X-API-Key": keys.make(scopes=("admin",))}
    base = service.url + "/api/v1/admin"
    made = httpx2.post(base + "/keys", headers=boss, json={"name": "by script", "scopes": ["detect"]}, timeout=60)
    assert made.status_code == 201
    assert httpx2.delete(f"{base}/keys/{made.json()['id']}", headers=boss, timeout=60).json()["state"] == "revoked"
    system = httpx2.get(base + "/system", headers=boss, timeout=60).json()
    assert system["models"][0]["name"] == "beacon"

    def overview() -> dict[str, Any]:
        return httpx2.get(base + "/overview", headers=boss, timeout=60).json()

    wait_until(lambda: overview()["gateway_processes"] == 2)  # each says so by itself, now and then
    assert overview()["workers"]


def test_with_the_store_gone_health_says_so_and_readiness_stays(service: Service, folder: Path, png: bytes) -> None:
    """The last to use the service, but for the scan: the store comes back at the end."""
    key = (folder / "var" / "first-key.txt").read_text().strip()  # known to every process since its start
    store = folder / "store.sqlite"
    hidden = store.rename(folder / "hidden")
    wait_until(lambda: httpx2.get(service.url + "/health", timeout=60).status_code == 503)
    wait_until(lambda: httpx2.get(service.url + "/health", timeout=60).status_code == 503)
    health = httpx2.get(service.url + "/health", timeout=60)
    if health.status_code == 503:  # the other process may be a moment behind
        assert (health.json()["status"], health.json()["database_ready"]) == ("degraded", False)
    assert httpx2.get(service.url + "/readyz", timeout=60).status_code == 200
    assert [ask(service, key, png).status_code for _ in range(8)] == [200] * 8
    assert ask(service, new_key(), png).status_code == 503
    hidden.rename(store)
    wait_until(lambda: all(httpx2.get(service.url + "/health", timeout=60).json()["database_ready"] for _ in range(8)))
    wait_until(lambda: ask(service, new_key(), png).status_code == 401)  # the other process may be a moment behind


def test_no_key_is_left_in_logs_files_memory_of_processes_or_metrics(service: Service, folder: Path) -> None:
    assert "request" in service.output
    assert not KEY.search(service.output.encode())
    assert "store.sqlite" not in service.output
    held = [path for path in folder.rglob("*") if path.is_file() and KEY.search(path.read_bytes())]
    assert held == [folder / "var" / "first-key.txt"]
    for pid in [service.process.pid, *processes_below(service.process.pid)]:
        assert not KEY.search(Path(f"/proc/{pid}/environ").read_bytes())
        assert not KEY.search(Path(f"/proc/{pid}/cmdline").read_bytes())
    runtime = next(
        value.split(b"=", 1)[1]
        for pid in processes_below(service.process.pid)
        for value in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if value.startswith(b"FACE_API_RUNTIME_DIR=")
    )
    for path in Path(runtime.decode()).rglob("*"):
        assert not (path.is_file() and KEY.search(path.read_bytes())), path
