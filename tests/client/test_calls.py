"""Calls are typed and patient: busy is waited out, what cannot be helped is told at once in the service's words."""

from __future__ import annotations

import asyncio
import io
import itertools
from pathlib import Path

import pytest

from client import AsyncClient, Box, Busy, Client, KeyRefused, Landmarks, Point, Refused, Unreachable
from client.patience import PAUSE_S_MAX, Patience
from tests.client.scripted import Asked, detected, masked, picture_in, refusal, scripted


def test_detect_answers_typed_faces_in_pixels() -> None:
    with scripted(lambda _: detected(2)) as server, Client(server.url, "xyl_key") as client:
        found = client.detect(b"picture", confidence=0.6, thorough=True, turns=None)
    assert [face.index for face in found.faces] == [0, 1]
    assert found.faces[0].box == Box(1, 2, 31, 42)
    assert found.faces[0].landmarks == Landmarks(*[Point(5, 6)] * 5)
    assert (found.width, found.height, found.model, found.request_id) == (640, 480, "beacon", "r-1")
    (asked,) = server.asked
    assert asked.path == "/api/v1/detect?confidence=0.6&thorough=true"
    assert asked.headers["x-api-key"] == "xyl_key"


def test_a_picture_may_be_bytes_a_path_or_an_open_file_and_its_name_stays_here(tmp_path: Path) -> None:
    path = tmp_path / "anna-at-the-beach.jpg"
    path.write_bytes(b"picture")
    read_to_the_end = io.BytesIO(b"picture")
    read_to_the_end.read()
    with scripted(lambda asked: masked(picture_in(asked), 3)) as server, Client(server.url) as client:
        answers = [client.mask(each) for each in (b"picture", path, str(path), read_to_the_end)]
    assert {(answer.data, answer.faces, answer.media_type) for answer in answers} == {
        (b"masked picture", 3, "image/jpeg")
    }
    assert not any(b"anna" in asked.body for asked in server.asked)


def test_busy_is_asked_again_after_the_time_it_names() -> None:
    answers = iter([refusal(429, "Too many requests", Retry_After="0"), refusal(503, "Busy", Retry_After="0"), None])
    with scripted(lambda _: next(answers, detected())) as server, Client(server.url) as client:
        assert len(client.detect(b"picture").faces) == 1
    assert len(server.asked) == 4
    assert {picture_in(asked) for asked in server.asked} == {b"picture"}


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    with scripted(lambda _: refusal(503, "Busy; try again", Retry_After="90")) as server:
        with Client(server.url, deadline=60) as client, pytest.raises(Busy, match="Busy; try again") as caught:
            client.detect(b"picture")
        assert (caught.value.status, caught.value.retry_after, caught.value.request_id) == (503, 90.0, "r-1")
        assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "kind"), [(401, KeyRefused), (403, KeyRefused), (400, Refused), (422, Refused)])
def test_what_trying_again_would_not_change_is_raised_at_once_in_the_services_words(status: int, kind: type) -> None:
    with scripted(lambda _: refusal(status, "confidence=2 is out of range")) as server, Client(server.url) as client:
        with pytest.raises(kind, match="confidence=2 is out of range"):
            client.mask(b"picture")
        assert len(server.asked) == 1


def test_another_kind_of_server_at_the_address_is_told() -> None:
    with (
        scripted(lambda _: (200, {"Content-Type": "text/html"}, b"<h1>It works</h1>")) as server,
        Client(server.url) as client,
    ):
        for call in (client.health, lambda: client.detect(b"picture"), lambda: client.mask(b"picture")):
            with pytest.raises(Refused, match="not as a face-api"):
                call()


def test_nobody_at_the_address_is_told_with_the_address() -> None:
    with scripted(lambda _: None) as server:
        gone = server.url
    with Client(gone, deadline=0) as client, pytest.raises(Unreachable, match=f"{gone} cannot be reached"):
        client.detect(b"picture")


def test_a_missing_file_is_an_error_of_the_files() -> None:
    with Client() as client, pytest.raises(FileNotFoundError):
        client.detect("nowhere.jpg")


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda _: detected()) as server:
        monkeypatch.setenv("FACE_API_URL", server.url + "/")
        monkeypatch.setenv("FACE_API_KEY", "xyl_key")
        with Client() as client:
            client.detect(b"picture")
    assert server.asked[0].headers["x-api-key"] == "xyl_key"


def test_what_one_awaited_call_was_asked_to_wait_holds_for_all() -> None:
    first = itertools.count()

    def answer(_: Asked):
        return refusal(429, "Too many requests", Retry_After="1") if next(first) == 0 else detected()

    async def both(url: str) -> None:
        waits = asyncio.Event()
        async with AsyncClient(url, waited=lambda *_: waits.set()) as client:
            one = asyncio.create_task(client.detect(b"one"))
            await waits.wait()
            two = asyncio.create_task(client.detect(b"two"))
            await asyncio.sleep(0.2)
            assert len(server.asked) == 1
            assert len((await one).faces) == len((await two).faces) == 1

    with scripted(answer) as server:
        asyncio.run(both(server.url))
    assert len(server.asked) == 3


def test_pauses_double_until_a_bound_and_end_with_the_deadline() -> None:
    now = 0.0
    patience = Patience(120, clock=lambda: now)
    pauses = []
    with pytest.raises(Unreachable):
        while True:
            pauses.append(patience.pause(Unreachable("away")))
            now += pauses[-1]
    assert pauses[:4] == sorted(pauses[:4])
    assert max(pauses) <= PAUSE_S_MAX * 1.2 + 0.1
    assert 120 - PAUSE_S_MAX * 1.2 - 0.1 <= now <= 120
