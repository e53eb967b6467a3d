"""How long a body may take to arrive, and when a request's own time begins."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from starlette.requests import Request

from gateway.edge.conversation import Conversation, Patience
from gateway.form_parts import Upload
from gateway.request_time import RequestTime, asked_s
from gateway.visit import _receive
from shared.deadline import Deadline
from shared.errors import BadParameter, ReceiveTimeout
from shared.settings import Settings

BODY = bytes(2000)
#: A body of this size has 2.5 s at the least rate; a request 0.3 s of our own time.
SETTINGS = Settings(request_timeout=0.3, header_timeout=0.5, min_transfer_rate=1000)


async def received(settings: Settings = SETTINGS, whole_s: float = math.inf) -> tuple[Upload, Deadline, float]:
    """What came of a body that takes 0.4 s, the deadline after it, and when the body was here."""
    loop = asyncio.get_running_loop()
    pieces = [BODY[:1000], BODY[1000:]]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.2)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    headers = [(b"content-type", b"image/jpeg"), (b"content-length", b"%d" % len(BODY))]
    request = Request({"type": "http", "headers": headers}, receive)
    wanted = RequestTime(settings.request_timeout, whole_s, loop.time())
    upload = await _receive(request, settings, wanted)
    return upload, wanted.deadline, loop.time()


def test_a_slow_upload_above_the_rate_is_let_through_and_our_time_begins_when_it_is_here() -> None:
    upload, deadline, here = asyncio.run(received())
    assert upload.image == BODY
    assert 0 < deadline.left_s(here) <= SETTINGS.request_timeout


@pytest.mark.parametrize("rate", [1_000_000, 0])
def test_a_body_that_takes_longer_than_any_rate_and_our_own_time_allow_is_given_up(rate: int) -> None:
    settings = Settings(request_timeout=0.1, header_timeout=0.1, min_transfer_rate=rate)
    with pytest.raises(ReceiveTimeout):
        asyncio.run(received(settings))


def test_a_time_that_the_caller_gives_bounds_the_whole_body_included() -> None:
    with pytest.raises(ReceiveTimeout):
        asyncio.run(received(whole_s=0.1))
    _, deadline, here = asyncio.run(received(Settings(request_timeout=60.0), whole_s=20.0))
    assert deadline.left_s(here) < 20.0


def bytes_let_through(patience: Patience, rate: float, size: int) -> int:
    """How much of a body of `size` arrives at this steady rate, looked at every second."""
    talk, sent = Conversation(patience, 0.0), 0
    talk.enter("body", 0.0)
    for second in range(1, int(size / rate) + 2):
        if talk.ending(float(second), 0, stopped=None):
            break
        count = min(size - sent, int(rate))
        talk.received_bytes(count, float(second))
        sent += count
    return sent


@pytest.mark.parametrize("rate", [8192, 9000, 50_000, 700_000])
def test_twenty_megabytes_arrive_at_every_rate_from_the_least_on(rate: int) -> None:
    size = 20 * 1024 * 1024
    assert bytes_let_through(Patience.of(Settings()), rate, size) == size


def test_what_is_slower_than_the_least_rate_is_cut() -> None:
    assert bytes_let_through(Patience.of(Settings()), 7000, 20 * 1024 * 1024) < 1024 * 1024


@pytest.mark.parametrize("rate", [8192, 0])
def test_nobody_is_waited_for_in_silence_however_much_came_before(rate: int) -> None:
    patience = Patience.of(Settings(min_transfer_rate=rate))
    talk = Conversation(patience, 0.0)
    talk.enter("body", 0.0)
    talk.received_bytes(20_000_000, 1.0)
    assert talk.ending(1.0 + patience.silence_s, 0, stopped=None) is None
    assert talk.ending(1.1 + patience.silence_s, 0, stopped=None) == "late body"


@pytest.mark.parametrize("text", ["5000", "+5000", "5e3", "5000.0", " 5000 ", "000000005000"])
def test_a_time_is_read_however_programs_write_it(text: str) -> None:
    assert asked_s([text]) == asked_s(["", text, text]) == 5.0


@pytest.mark.parametrize("text", ["\xb2", "٥", "0" * 5000, "9" * 5000, "0", "-1", "600001", "5.5", "inf", "5000, 5000"])
def test_a_time_that_is_none_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadParameter, match="whole milliseconds from 1 to 600000"):
        asked_s([text])


def test_no_time_at_all_is_no_limit() -> None:
    assert asked_s([]) == asked_s([" "]) == math.inf
