"""The ready block: whatever it says of the service is so."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from deploy import ready_block
from deploy.ready_block import Health, announce, block
from gateway.first_start import FirstKey
from gateway.stores.key_format import well_formed
from shared.settings import Settings

HEALTH = Health(
    workers=2,
    max_batch=8,
    model_note="",
    model="scrfd",
    precision="fp32",
    provider="CPUExecutionProvider",
    license="MIT",
)
SETTINGS = Settings(api_key_enabled=False)


def processes_line(workers: int, expected: int) -> str:
    health = msgspec.structs.replace(HEALTH, workers=workers)
    text = block(SETTINGS, "127.0.0.1", 8000, health, expected, FirstKey(), "")
    return next(line for line in text.splitlines() if line.startswith("  processes"))


@pytest.mark.parametrize(
    ("workers", "expected", "said"),
    [
        (1, 1, "1 worker (batch up to 8)"),
        (2, 2, "2 workers (batch up to 8)"),
        (1, 2, "1 of 2 workers so far (batch up to 8)"),
        (2, 0, "2 workers (batch up to 8)"),
        (3, 2, "3 workers (batch up to 8)"),
    ],
)
def test_it_counts_the_workers_that_serve_of_those_that_will(workers: int, expected: int, said: str) -> None:
    assert processes_line(workers, expected) == f"  processes  {said}"


@pytest.mark.parametrize("note", ["", "the kernel has no Landlock: take a newer one"])
def test_it_says_how_decoders_are_shut_in_and_what_lacks(note: str) -> None:
    health = msgspec.structs.replace(HEALTH, decode_sandbox="seccomp", decode_sandbox_note=note)
    lines = block(SETTINGS, "127.0.0.1", 8000, health, 2, FirstKey(), "").splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("  sandbox    seccomp"))
    assert (lines[at + 1].strip() == note) == bool(note)


@pytest.mark.parametrize("metrics_url", ["", "http://127.0.0.1:9000/metrics"])
def test_it_names_the_metrics_when_they_are_served(metrics_url: str) -> None:
    text = block(SETTINGS, "127.0.0.1", 8000, HEALTH, 2, FirstKey(), metrics_url)
    assert [line for line in text.splitlines() if "metrics" in line] == (
        [f"  metrics    {metrics_url}"] * bool(metrics_url)
    )


def said_by(line_or_lines: str, command: str) -> str:
    """What bash prints for a command, the printed lines before it."""
    script = f"curl() {{ printf '%s\\n' \"$@\"; }}\n{line_or_lines}\n{command}"
    return subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True, cwd="/").stdout


def commands(first: FirstKey, effective: Settings) -> list[str]:
    """The lines of the block that are to be copied into a shell."""
    lines = block(effective, "127.0.0.1", 8000, HEALTH, 2, first, "").splitlines()
    return [line[13:] for line in lines if line.startswith(("  a key      ", "  try it     "))]


def test_the_line_to_try_works_as_printed_on_the_first_start_and_on_later_ones(tmp_path: Path) -> None:
    folder = tmp_path / "it's a $folder"
    folder.mkdir()
    file = folder / "first-key.txt"
    file.write_text("xyl_secret\n")
    for first in (FirstKey(plaintext="xyl_secret"), FirstKey(path=str(file)), FirstKey(kept=str(file))):
        (line,) = commands(first, Settings())
        assert said_by("", line).splitlines()[:2] == ["-H", "X-API-Key: xyl_secret"]
    (line,) = commands(FirstKey(), SETTINGS)
    assert said_by("", line).startswith(f"-F\nimage=@{ready_block.SAMPLE}\nhttp://127.0.0.1:8000/api/v1/detect")
    assert ready_block.SAMPLE.read_bytes().startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    ("first", "link"), [(FirstKey(plaintext="xyl_1"), "/try#key=xyl_1"), (FirstKey(kept="k"), "/try")]
)
def test_the_page_to_look_at_is_named_and_opens_with_a_key_that_is_shown_anyway(first: FirstKey, link: str) -> None:
    text = block(Settings(), "127.0.0.1", 8000, HEALTH, 2, first, "")
    assert f"  look       http://127.0.0.1:8000{link}" in text.splitlines()


def test_where_no_key_is_known_the_block_tells_how_to_make_one_and_that_works_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_API_DATA_DIR", str(tmp_path))
    make, line = commands(FirstKey(), Settings())
    option, key = said_by(make, line).splitlines()[:2]
    assert option == "-H"
    assert well_formed(key.removeprefix("X-API-Key: ").encode())


@contextmanager
def answering(healths: list[tuple[int, Health]]) -> Iterator[int]:
    """A port where /health answers these one after the other, the last one for ever."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, health = healths.pop(0) if len(healths) > 1 else healths[0]
            body = msgspec.json.encode(health)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def announced(healths: list[tuple[int, Health]], expected: int, capsys: pytest.CaptureFixture[str]) -> str:
    with answering(healths) as port:
        asyncio.run(announce(SETTINGS, "127.0.0.1", port, FirstKey(), "", lambda: expected))
    return capsys.readouterr().out


def test_it_waits_for_the_workers_that_are_still_coming(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready_block, "ASK_INTERVAL_S", 0.0)
    none = Health(workers=0, max_batch=0, model_note="")
    one = msgspec.structs.replace(HEALTH, workers=1)
    assert "  2 workers (" in announced([(503, none), (200, none), (200, one), (200, HEALTH)], 2, capsys)


def test_it_does_not_wait_for_ever_for_a_worker_that_does_not_come(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready_block, "OTHERS_S_MAX", 0.0)
    one = msgspec.structs.replace(HEALTH, workers=1)
    assert "  1 of 2 workers so far (" in announced([(200, one)], 2, capsys)
