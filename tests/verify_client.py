"""`make verify`: the folder command over a thousand pictures, twenty of them broken, through everything that may come between.

A service that is busy (503), one that limits (429), a restart between the two, and Ctrl-C: at the end every picture is
masked once, in its own place, and the broken ones are listed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np

from client.__main__ import INTERRUPTED, LEDGER, NOT_ALL
from loadtest.ports import free_ports
from tests.networks import beacon_network, beacon_picture
from tests.service import ROOT, Service, running_service

PICTURES, BROKEN_EVERY = 1000, 50
WIDTH, HEIGHT, FACE = 160, 120, 24.0
TOKEN = "metrics of this run"
PATIENCE_S = 120
ORDINARY = {"precision": "fp32", "gateway_processes": 1, "workers": 1, "metrics_token": TOKEN}
BUSY = {"max_queue": 10}
LIMITING = {"rate_limit_enabled": "true", "rate_limit_mask": 25, "rate_limit_window": 1.0}


def place(number: int) -> tuple[float, float]:
    """Where the face of a picture is: no two of a thousand share one."""
    return 14.0 + 3 * (number % 40), 14.0 + 3 * (number // 40)


def drawn(folder: Path) -> set[str]:
    """A thousand pictures in ten folders; the names of those that are broken."""
    broken = set()
    for number in range(PICTURES):
        name = f"{number % 10}/{number:03}.png"
        data = cv2.imencode(".png", beacon_picture([(*place(number), FACE, 0.9)], WIDTH, HEIGHT))[1].tobytes()
        if number % BROKEN_EVERY == BROKEN_EVERY - 1:
            broken.add(name)
            data = data[: len(data) // 2] if number % 100 == 99 else b"no picture"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return broken


def started(folder: Path, url: str, told: Path) -> subprocess.Popen[bytes]:
    """The command, what it tells in a file: a pipe that nobody empties would hold it up."""
    parameters = ["method=solid", "color=#ffffff", "second_side=0", "turns=never"]
    words = ["mask", "photos", "-o", "masked", "-j", "16", "--json", "-q", *(f"-p{each}" for each in parameters)]
    with told.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "client", *words, "--url", url],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
        )


def lines(folder: Path) -> list[dict[str, Any]]:
    """Of the ledger, those that are whole."""
    ledger = folder / "masked" / LEDGER
    written = ledger.read_bytes().rpartition(b"\n")[0] if ledger.exists() else b""
    return [json.loads(line) for line in written.splitlines()]


def until_done(folder: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(lines(folder)) < count:
        assert time.monotonic() < deadline, f"{len(lines(folder))} pictures"
        time.sleep(0.05)


def answered(service: Service) -> Counter[str]:
    """How often mask answered which status."""
    told = httpx2.get(f"{service.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    rows = [
        line
        for line in told.splitlines()
        if line.startswith("face_api_requests_total{") and 'endpoint="/api/v1/mask"' in line
    ]
    return Counter({line.partition('status="')[2][:3]: int(float(line.rpartition(" ")[2])) for line in rows})


def masked_where_its_face_is(picture: np.ndarray, number: int) -> bool:
    """White over the face of this picture, and black wherever no mask of it can be."""
    x, y = map(int, place(number))
    elsewhere = picture.copy()
    elsewhere[max(0, y - 22) : y + 22, max(0, x - 22) : x + 22] = 0
    return bool((picture[y - 10 : y + 10, x - 10 : x + 10] == 255).all() and not elsewhere.any())


def test_a_thousand_pictures_are_each_done_once_whatever_comes_between(tmp_path: Path) -> None:
    broken = drawn(tmp_path / "photos")
    settings = {**ORDINARY, "model": beacon_network(tmp_path / "beacon.onnx"), "port": free_ports()}
    with ExitStack() as clients:
        with running_service(tmp_path / "data", **settings, **BUSY) as busy:
            first = clients.enter_context(started(tmp_path, busy.url, tmp_path / "first.jsonl"))
            clients.callback(first.kill)
            until_done(tmp_path, 150)
            refusals = answered(busy)
        assert refusals["503"] > 0
        with running_service(tmp_path / "data", **settings, **LIMITING) as limiting:
            until_done(tmp_path, 500)
            first.send_signal(signal.SIGINT)
            assert first.wait(PATIENCE_S) == INTERRUPTED
            assert len(lines(tmp_path)) < PICTURES
            second = clients.enter_context(started(tmp_path, limiting.url, tmp_path / "second.jsonl"))
            clients.callback(second.kill)
            assert second.wait(PATIENCE_S) == NOT_ALL
            assert answered(limiting)["429"] > 0
    told = (tmp_path / "second.jsonl").read_text().splitlines()
    _all_is_done(tmp_path, broken, [json.loads(line) for line in told])


def _all_is_done(folder: Path, broken: set[str], told: Sequence[dict[str, Any]]) -> None:
    done = PICTURES - len(broken)
    assert told[-1]["summary"] == {"done": done, "faces": done, "without_faces": 0, "refused": len(broken), "failed": 0}
    assert {line["source"] for line in told[:-1] if line["status"] == "refused"} == broken
    kept = Counter(line["source"] for line in lines(folder))
    assert (len(kept), {*kept.values()}) == (PICTURES, {1})
    files = {str(path.relative_to(folder / "masked")) for path in (folder / "masked").rglob("*") if path.is_file()}
    assert files == {line["source"] for line in told[:-1]} - broken | {LEDGER}
    wrong = [
        name
        for name in files - {LEDGER}
        if not masked_where_its_face_is(cv2.imread(str(folder / "masked" / name)), int(name[2:5]))
    ]
    assert wrong == []
