"""`make replay CORPUS=folder`: every file of a folder, whatever it holds, through a running server; what became of it.

Without a folder the generated corpus is sent, without an address a server is started for it with the FACE_API_
settings of the environment (keys and rate limits off). Ends with 1 when the server did not survive.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.hostile import write
from tests.hostile.process_watch import Watch
from tests.hostile.replay_client import ENDPOINTS, Sender
from tests.hostile.replay_report import Found, as_json, as_text
from tests.service import START_S_MAX, Service, start

#: More of a file is not sent: far over what a server takes, and it must fit into this process several times.
BYTES_MAX = 128 * 1024 * 1024
READY_S_MAX = 30.0
SAID_EVERY_S = 10.0
_LOST_CHILD = re.compile(r"picture child \d+ ended with -?\d+|cannot start|ended by itself|Traceback.*")
_COUNTED = re.compile(rb'^face_api_events_total\{event="picture_children_lost"\} ([0-9.e+]+)', re.MULTILINE)


def main(arguments: list[str]) -> int:
    """0: survived. 1: it did not. 2: there was nothing to send or nobody to send it to."""
    options = _options(arguments)
    with contextlib.ExitStack() as stack:
        corpus = options.corpus or _generated(stack)
        if not corpus.is_dir():
            print(f"{corpus} is no folder", file=sys.stderr)
            return 2
        try:
            found = _against(options.url, corpus, options) if options.url else _against_our_own(corpus, options)
        except NoServer as error:
            print(error, file=sys.stderr)
            return 2
    print(json.dumps(as_json(found), indent=2) if options.json else as_text(found))
    return 0 if found.survived else 1


class NoServer(Exception):
    """Nobody answers where the files should go."""


def plain_files(folder: Path, skipped: list[str]) -> Iterator[tuple[str, bytes]]:
    """(name to show, path) of every plain file below, in order; folders behind links, pipes and devices are told."""
    top = os.fsencode(folder)

    def unreadable(error: OSError) -> None:
        skipped.append(f"{shown(os.path.relpath(os.fsencode(error.filename), top))}: {error.strerror}")

    for place, folders, names in os.walk(top, onerror=unreadable):
        folders.sort()
        links = [name for name in folders if os.path.islink(_below(place, name))]  # noqa: PTH114 — as below
        for name in sorted(names + links):
            path = _below(place, name)
            if os.path.isfile(path):  # noqa: PTH113 — as below
                yield shown(os.path.relpath(path, top)), path
            else:
                skipped.append(f"{shown(os.path.relpath(path, top))}: no plain file")


def _below(folder: bytes, name: bytes) -> bytes:
    return os.path.join(folder, name)  # noqa: PTH118 — a Path cannot hold every name


def shown(name: bytes) -> str:
    """A file's name for a terminal: on one line, without control characters."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _against_our_own(corpus: Path, options: argparse.Namespace) -> Found:
    with tempfile.TemporaryDirectory(prefix="fa-replay-") as folder:
        service = _started(Path(folder))
        try:
            watch = Watch(service.process.pid)
            watch.start()
            found = _sent(service.url, corpus, options, key="")
            found.ready = _ready(service.url)
            found.children_lost = _children_lost(service.url, _token())
            watch.stop()
            found.memory, found.largest, found.ended = dict(watch.memory), dict(watch.largest), watch.ended
            found.exit_code = _stopped(service)
        finally:
            service.close()
        found.last_words = [match[0] for line in service.lines if (match := _LOST_CHILD.search(line))][:20]
        return found


def _started(folder: Path) -> Service:
    given = {name[9:].lower(): text for name, text in os.environ.items() if name.startswith("FACE_API_")}
    wanted = {"data_dir": folder, "metrics_token": _token(), "log_level": "warning"} | given
    service = start(Path(str(wanted.pop("data_dir"))), **wanted)
    if not service.ready.wait(START_S_MAX) or not service.url:
        service.close()
        raise NoServer(f"the server does not start:\n{service.output}")
    return service


def _stopped(service: Service) -> int:
    """Its exit code; it may have ended by itself."""
    try:
        return service.stop()
    except subprocess.TimeoutExpired:
        return -int(signal.SIGKILL)


def _token() -> str:
    return os.environ.get("FACE_API_METRICS_TOKEN", "") or "replay-metrics-token-0f4c"


def _against(url: str, corpus: Path, options: argparse.Namespace) -> Found:
    """A server that runs already: its processes are not ours to look at."""
    if not _ready(url, seconds=3):
        raise NoServer(f"{url} is not ready: /readyz does not answer 200")
    found = _sent(url, corpus, options, key=os.environ.get("KEY", ""))
    found.ready = _ready(url)
    if "FACE_API_METRICS_TOKEN" in os.environ:
        found.children_lost = _children_lost(url, _token())
    return found


def _sent(url: str, corpus: Path, options: argparse.Namespace, key: str) -> Found:
    """Everything through `--at-once` connections; progress on standard error."""
    found = Found()
    files = list(plain_files(corpus, found.skipped))
    line, lock, began = iter(files), threading.Lock(), time.monotonic()
    said = Progress(len(files) * len(ENDPOINTS))

    def one_connection() -> None:
        sender = Sender(url, key)
        while True:
            with lock:
                name, path = next(line, ("", b""))
            if not path:
                break
            _send_one(sender, name, path, found, said)
        with lock:
            found.limited += sender.limited
        sender.close()

    with ThreadPoolExecutor(options.at_once) as threads:
        for work in [threads.submit(one_connection) for _ in range(options.at_once)]:
            work.result()
    said.end()
    found.seconds = time.monotonic() - began
    return found


def _send_one(sender: Sender, name: str, path: bytes, found: Found, said: Callable[[str], None]) -> None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 — a Path cannot hold every name
            data = file.read(BYTES_MAX)
    except OSError as error:
        found.skipped.append(f"{name}: {error.strerror}")
        return
    for endpoint in ENDPOINTS:
        found.sent.append(sender.send(endpoint, name, path.rpartition(b"/")[2], data))
        said(name)


def _ready(url: str, seconds: float = READY_S_MAX) -> bool:
    """Whether the server takes pictures now, or soon: a worker or child may be on its way back."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sender = Sender(url)
        status, _ = sender.get("/readyz")
        sender.close()
        if status == 200:
            return True
        time.sleep(0.2)
    return False


def _children_lost(url: str, token: str) -> int | None:
    time.sleep(1.5)  # the processes add up once a second
    sender = Sender(url)
    status, text = sender.get("/metrics", Authorization=f"Bearer {token}")
    sender.close()
    counts = [float(number) for number in _COUNTED.findall(text)]
    return int(sum(counts)) if status == 200 else None


class Progress:
    """How far it is, on standard error: one line that changes on a terminal, else a line now and then."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._said_at = total, 0, time.monotonic()
        self._lock, self._terminal = threading.Lock(), sys.stderr.isatty()

    def __call__(self, name: str) -> None:
        with self._lock:
            self._done += 1
            now = time.monotonic()
            if now - self._said_at < (0.1 if self._terminal else SAID_EVERY_S):
                return
            self._said_at = now
            words = f"{self._done} of {self._total} answers, {name}"
            print(f"\r\x1b[K{words[:100]}" if self._terminal else words, end="" if self._terminal else "\n",
                  file=sys.stderr, flush=True)  # fmt: skip

    def end(self) -> None:
        """Leaves the line clean."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _generated(stack: contextlib.ExitStack) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fa-corpus-")))
    with contextlib.redirect_stdout(sys.stderr):
        write.main(folder)
    return folder


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.replay", description=__doc__)
    parser.add_argument(
        "corpus", nargs="?", type=Path, help="a folder of any files; the generated corpus when left out"
    )
    parser.add_argument("--url", default="", help="of a server that runs; its key in the environment variable KEY")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--at-once", type=int, default=4, help="connections")
    options = parser.parse_args(arguments)
    if options.url and not re.match(r"https?://[^/]", options.url):
        parser.error("--url is an address like http://127.0.0.1:8000")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
