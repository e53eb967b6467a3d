"""Folders: every picture once, whole files only, and the same line goes on wherever it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from client.__main__ import DONE, INTERRUPTED, NOT_ALL, STOPPED, USAGE, main
from tests.client.scripted import Asked, detected, masked, picture_in, refusal, scripted
from tests.service import ROOT


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five pictures in two folders, and what is none."""
    folder = tmp_path / "photos"
    (folder / "trip" / ".thumbnails").mkdir(parents=True)
    for name in ("a.jpg", "b.PNG", "c.tif", "trip/a.jpg", "trip/d.webp"):
        (folder / name).write_bytes(name.encode())
    for name in ("notes.txt", ".hidden.jpg", "trip/.thumbnails/a.jpg"):
        (folder / name).write_bytes(b"none")
    return folder


def answer(asked: Asked):
    return masked(picture_in(asked)) if "/mask" in asked.path else detected(2)


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def mask(photos: Path, url: str, *more: str) -> int:
    return main(["mask", str(photos), "-o", str(photos.parent / "masked"), "--url", url, *more])


def test_each_picture_is_masked_into_its_subfolder_in_its_own_format(photos: Path) -> None:
    with scripted(answer) as server:
        assert mask(photos, server.url, "-p", "method=solid") == DONE
    found = below(photos.parent / "masked")
    assert found.pop(".face-api.jsonl")
    assert found == {
        "a.jpg": b"masked a.jpg",
        "b.PNG": b"masked b.PNG",
        "c.tif.jpg": b"masked c.tif",
        "trip/a.jpg": b"masked trip/a.jpg",
        "trip/d.webp": b"masked trip/d.webp",
    }
    assert Counter(asked.path.partition("format=")[2] for asked in server.asked) == {"jpeg": 3, "png": 1, "webp": 1}
    assert all("method=solid" in asked.path for asked in server.asked)


def test_the_same_line_again_asks_nothing(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(answer) as server:
        assert [mask(photos, server.url), mask(photos, server.url, "--json")] == [DONE, DONE]
    assert len(server.asked) == 5
    assert lines(capsys)[-1]["summary"] == {"done": 5, "faces": 5, "without_faces": 0, "refused": 0, "failed": 0}


@pytest.mark.parametrize("change", ["original", "parameter", "output", "half a line"])
def test_what_changed_is_done_again(photos: Path, change: str) -> None:
    output = photos.parent / "masked"
    with scripted(answer) as server:
        mask(photos, server.url, "-j", "1")
        parameters: list[str] = []
        if change == "original":
            (photos / "a.jpg").write_bytes(b"another")
        elif change == "parameter":
            parameters = ["-p", "method=erase"]
        elif change == "output":
            (output / "a.jpg").unlink()
        else:
            ledger = output / ".face-api.jsonl"
            ledger.write_bytes(ledger.read_bytes()[:-5])
        assert mask(photos, server.url, *parameters) == DONE
        assert len(server.asked) == (10 if change == "parameter" else 6)
        assert mask(photos, server.url, *parameters) == DONE
        assert len(server.asked) == (10 if change == "parameter" else 6)


def test_refused_pictures_are_listed_with_their_reason_and_asked_again_on_demand(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def some(asked: Asked):
        broken = picture_in(asked) in (b"b.PNG", b"c.tif")
        return refusal(400, "The file is truncated") if broken else answer(asked)

    with scripted(some) as server:
        assert mask(photos, server.url) == NOT_ALL
        told = capsys.readouterr().err
        assert "refused: b.PNG: The file is truncated" in told
        assert "3 done, 3 faces, 0 pictures without any; 2 refused, 0 failed" in told
        assert not {"b.PNG", "c.tif.jpg"} & {*below(photos.parent / "masked")}
        assert mask(photos, server.url) == NOT_ALL
        assert len(server.asked) == 5
        assert mask(photos, server.url, "--again") == NOT_ALL
        assert len(server.asked) == 7


def test_a_picture_that_was_given_up_is_tried_by_the_next_run(photos: Path) -> None:
    busy = {b"a.jpg"}

    def some(asked: Asked):
        return refusal(503, "Busy", Retry_After="9") if picture_in(asked) in busy else answer(asked)

    with scripted(some) as server:
        assert mask(photos, server.url, "-j", "1", "--deadline", "1") == NOT_ALL
        busy.clear()
        assert mask(photos, server.url) == DONE
    assert Counter(picture_in(asked) for asked in server.asked) == {
        name: 1 + (name == b"a.jpg") for name in (b"a.jpg", b"b.PNG", b"c.tif", b"trip/a.jpg", b"trip/d.webp")
    }


def test_a_wrong_key_ends_the_run_at_once(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(lambda _: refusal(401, "The key is unknown")) as server:
        assert mask(photos, server.url, "-j", "1") == STOPPED
    assert len(server.asked) == 1
    assert "stopped: The key is unknown" in capsys.readouterr().err


def test_a_wrong_parameter_ends_the_run_soon(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(50):
        (photos / f"{number}.jpg").write_bytes(b"picture")
    with scripted(lambda _: refusal(422, "strength=0 is not 1 to 999")) as server:
        assert mask(photos, server.url, "-j", "2") == STOPPED
    assert len(server.asked) < 10
    assert "all refused: strength=0 is not 1 to 999" in capsys.readouterr().err


def test_a_full_disk_ends_the_run_and_leaves_no_part(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = photos.parent / "masked"
    output.mkdir()
    (output / "a.jpg").mkdir()  # the file cannot take this name: as any error of writing
    with scripted(answer) as server:
        assert mask(photos, server.url, "-j", "1") == STOPPED
    assert "cannot be written" in capsys.readouterr().err
    assert not [name for name in below(output) if name.endswith(".part")]


def test_originals_and_masked_pictures_never_share_a_folder(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(answer) as server:
        for folder in (photos, photos.parent):
            assert main(["mask", str(photos), "-o", str(folder), "--url", server.url]) == USAGE
            assert "holds originals" in capsys.readouterr().err
        inside = str(photos / "masked")
        for _ in range(2):  # the second time masked pictures lie below the originals
            assert main(["mask", str(photos), "-o", inside, "--url", server.url]) == DONE
    assert len(server.asked) == 5


def test_two_pictures_that_would_become_one_are_refused_before_anything_is_sent(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "c.tif.jpg").write_bytes(b"another")
    with scripted(answer) as server:
        assert mask(photos, server.url) == USAGE
    assert server.asked == []
    assert "would both become c.tif.jpg" in capsys.readouterr().err


def test_detect_prints_and_keeps_what_it_finds(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = photos.parent / "found.jsonl"
    with scripted(answer) as server:
        for _ in range(2):
            assert main(["detect", str(photos), "--json", "-o", str(kept), "--url", server.url]) == DONE
        printed = lines(capsys)
        assert len(server.asked) == 5
        assert main(["detect", str(photos / "a.jpg"), "--url", server.url]) == DONE
    assert printed[-1]["summary"]["faces"] == 10
    assert [json.loads(line)["answer"]["detections"][1]["index"] for line in kept.read_text().splitlines()] == [1] * 5
    assert capsys.readouterr().out == "a.jpg: 2 faces\n    0 0.900 (1, 2) to (31, 42)\n    1 0.900 (1, 2) to (31, 42)\n"


def test_count_prints_a_number_for_each_picture(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(answer) as server:
        assert main(["count", str(photos), "-j", "1", "--url", server.url]) == DONE
    assert capsys.readouterr().out.split() == [
        "2",
        "a.jpg",
        "2",
        "b.PNG",
        "2",
        "c.tif",
        "2",
        "trip/a.jpg",
        "2",
        "trip/d.webp",
    ]


def test_annotate_asks_mask_for_boxes(photos: Path) -> None:
    with scripted(answer) as server:
        assert (
            main(["annotate", str(photos / "a.jpg"), "-o", str(photos.parent / "boxes"), "--url", server.url]) == DONE
        )
    assert server.asked[0].path == "/api/v1/mask?annotate=true&format=jpeg"


def test_an_interrupted_run_leaves_whole_files_and_goes_on(photos: Path) -> None:
    for number in range(40):
        (photos / f"{number:02}.jpg").write_bytes(b"%02d" % number)

    interrupted = threading.Event()

    def slowly(asked: Asked):
        if len(server.asked) > 10:
            interrupted.wait()
        return answer(asked)

    with scripted(slowly) as server:
        words = [sys.executable, "-m", "client", "mask", str(photos), "-o", str(photos.parent / "masked"), "-j", "3"]
        taken = ["env", "--default-signal=INT"]  # what runs in the background may have been told to ignore it
        running = subprocess.Popen(
            [*taken, *words, "--url", server.url], cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
        while len(server.asked) < 10:
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        interrupted.set()  # after the signal: what is under way is answered, and nothing else is begun
        _, told = running.communicate()
        assert running.returncode == INTERRUPTED
        assert "the same line goes on from here" in told
        found = below(photos.parent / "masked")
        done = {name for name in found if name != ".face-api.jsonl"}
        assert 0 < len(done) < 45
        assert all(found[name].startswith(b"masked ") for name in done)
        before = len(server.asked)
        assert mask(photos, server.url) == DONE
    assert len(below(photos.parent / "masked")) == 46
    assert len(server.asked) - before == 45 - len(done)
