"""`make replay`: whatever lies in a folder is sent, whatever comes back is told, and a server that fails is seen."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.hostile import make_png, rasters, replay
from tests.hostile.replay_client import Sent
from tests.hostile.replay_report import Found, as_text
from tests.networks import beacon_network

ODD_NAMES = {b'quote".png': 200, b"line\nbreak.png": 200, b"not utf-8 \xff.png": 200, b"\x1b[31m.png": 200}
SMALL = make_png.png(rasters.colours(32, 24), make_png.RGB)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "any files"
    (folder / "deep" / "er").mkdir(parents=True)
    for name in ODD_NAMES:
        (folder / os.fsdecode(name)).write_bytes(SMALL)
    (folder / "deep" / "er" / "cut").write_bytes(SMALL[:-9])
    (folder / "deep" / "empty").touch()
    (folder / "over 20 MB.jpg").write_bytes(bytes(21 * 1024 * 1024))
    (folder / "text.html").write_text("<html>")
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(folder)
    (folder / "leads nowhere").symlink_to(folder / "nothing")
    return folder


def replayed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict]:
    code = replay.main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_any_folder_goes_through_a_server_of_its_own_and_all_of_it_is_told(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a picture that computes longer than it may: its child is ended, and nothing else."""
    (corpus / "slow.png").write_bytes(make_png.zeros(5000, 5000, make_png.RGBA, 16))
    monkeypatch.setenv("FACE_API_MODEL", str(beacon_network(tmp_path / "beacon.onnx", side=64)))
    for name, value in {"INPUT_SIDE": 64, "DECODE_TIMEOUT": 0.1, "WORKERS": 1}.items():
        monkeypatch.setenv(f"FACE_API_{name}", str(value))
    code, found = replayed(capsys, corpus)
    assert found["unexpected"] == []
    assert code == 0
    assert found["survived"]
    both = {"200": 4, "400": 3, "413": 1, "422": 1}
    assert found["statuses"] == {"detect": both, "mask": both}
    assert found["files"] == 9
    assert sorted(found["skipped"]) == [f"{name}: no plain file" for name in ("leads nowhere", "link", "pipe")]
    assert found["ended"] == {"picture children": 2, "gateway processes": 0, "workers": 0}
    assert found["picture_children_lost"] == 2
    assert len(found["last_words"]) == 2
    assert found["exit_code"] == 0
    for part in ("gateway processes", "picture children", "workers"):
        assert found["memory_bytes"][part]["peak"] >= found["memory_bytes"][part]["begin"] > 1e6
    assert all(name.isprintable() for name in {one["name"] for one in found["slowest"]})


@contextlib.contextmanager
def server(status: int, body: bytes, keys: set[str | None] | None = None) -> Iterator[str]:
    """Ready, and answers every picture alike; status 0 hangs up. keys: those it was asked with are added."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, b"{}")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if status:
                self._answer(status, body)
            if keys is not None:
                keys.add(self.headers["X-API-Key"])

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None: ...

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b'{"detail": "Internal error"}', "Internal error"),
        (502, b'{"detail": "bad gateway"}', "bad gateway"),
        (400, b"", "400 without words"),
        (400, b'{"detail": ""}', "400 without words"),
        (200, b"", "200 with 0 bytes"),
        (0, b"", "no answer"),
    ],
)
def test_an_answer_no_file_may_be_given_is_listed_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int, body: bytes, words: str
) -> None:
    (tmp_path / "a.png").write_bytes(SMALL)
    with server(status, body) as url:
        code, found = replayed(capsys, tmp_path, "--url", url)
    assert code == 1
    assert not found["survived"]
    assert [one["endpoint"] for one in found["unexpected"]] == ["detect", "mask"]
    assert words in found["unexpected"][0]["words"]


def test_a_server_that_runs_already_is_asked_with_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(SMALL)
    monkeypatch.setenv("KEY", "xyl_ours")
    keys: set[str | None] = set()
    with server(400, b'{"detail": "not a picture"}', keys) as url:
        code, found = replayed(capsys, tmp_path, "--url", url)
    assert code == 0
    assert keys == {"xyl_ours"}
    assert found["ended"] is None


def test_without_anything_to_send_or_anybody_to_send_it_to_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main([str(tmp_path / "nothing here")]) == 2
    assert "is no folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    with server(400, b'{"detail": "not a picture"}') as url:
        code, found = replayed(capsys, tmp_path / "empty", "--url", url)
    assert (code, found["files"]) == (1, 0)


ANSWERED = Sent("a.png", "detect", 100, 400, 0.1, "not a picture")


@pytest.mark.parametrize(
    "wrong",
    [
        Found(sent=[ANSWERED], ready=False),
        Found(sent=[ANSWERED], exit_code=1),
        Found(sent=[ANSWERED], ended={"picture children": 0, "gateway processes": 1, "workers": 0}),
        Found(sent=[ANSWERED], ended={"picture children": 0, "gateway processes": 0, "workers": 1}),
    ],
)
def test_a_server_with_losses_has_not_survived(wrong: Found) -> None:
    assert not wrong.survived
    assert "NOT SURVIVED" in as_text(wrong)


def test_a_picture_child_that_ended_is_told_and_survived() -> None:
    found = Found(sent=[ANSWERED], ended={"picture children": 1, "gateway processes": 0, "workers": 0})
    assert found.survived
    assert "1 picture children" in as_text(found)


def test_names_are_shown_on_one_line_without_control_characters() -> None:
    assert replay.shown(b"a\nb\x1b[2Jc\xff \xc3\xa4.png") == "a\\nb\\x1b[2Jc\\xff ä.png"


def test_what_is_no_plain_file_is_told(corpus: Path) -> None:
    skipped: list[str] = []
    names = [name for name, _ in replay.plain_files(corpus, skipped)]
    assert len(names) == 8
    assert "deep/er/cut" in names
    assert len(skipped) == 3
    assert len(set(names)) == 8
