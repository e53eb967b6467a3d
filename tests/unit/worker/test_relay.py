"""What workers write is passed on as log lines, whoever wrote it, and nothing written ends the passing on."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from shared.logs import open_log
from shared.settings import Settings
from tests.unit.worker.test_pool import libraries_log_as_before
from worker.relay import FOREIGN_MAX, LAST_WORDS_MAX, LINE_MAX, Lines, readable, relay

__all__ = ["libraries_log_as_before"]  # a fixture for every test

GENERATION = "a1b2c3.7"
Format = Literal["json", "text"]


@dataclass
class Relayed:
    """last_words: what `relay` returned. through: what went through as it was. logged: what the pool logged."""

    last_words: str
    through: bytes
    logged: list[str]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.logged]


def worker_line(event: str, log_format: Format = "json", part: str = "worker", **facts: object) -> bytes:
    """A line as a worker logs it."""
    stream = io.StringIO()
    open_log(Settings(log_format=log_format), part, stream).bind(worker=GENERATION).warning(event, **facts)
    return stream.getvalue().encode()


def relayed(written: bytes, log_format: Format = "json") -> Relayed:
    """Of a process that writes this to its standard error and ends."""
    through, logged = io.BytesIO(), io.StringIO()

    async def run() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stderr.buffer)",
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        log = open_log(Settings(log_format=log_format), "pool", logged)
        assert process.stdin is not None
        saying = asyncio.create_task(relay(process, GENERATION, log, log_format, through))
        process.stdin.write(written)
        process.stdin.close()
        last_words = await saying
        assert await process.wait() == 0
        return last_words

    last_words = asyncio.run(run())
    return Relayed(last_words, through.getvalue(), logged.getvalue().splitlines())


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_workers_own_lines_go_through_unchanged(log_format: Format) -> None:
    lines = worker_line("gives up", log_format, why="the card fell off") + worker_line("Grüße", log_format, ms=3.5)
    found = relayed(lines, log_format)
    assert found.through == lines
    assert found.logged == []


def test_a_complaint_of_a_library_becomes_a_line_of_the_pool_with_the_workers_name() -> None:
    found = relayed(b"malloc(): corrupted top size\n")
    (event,) = found.events
    assert found.through == b""
    assert (event["part"], event["level"], event["event"]) == ("pool", "warning", "a worker wrote")
    assert (event["worker"], event["line"]) == (GENERATION, "malloc(): corrupted top size")
    assert found.last_words == "malloc(): corrupted top size"


def test_as_text_it_is_one_line_too() -> None:
    found = relayed(b"malloc(): corrupted top size\n", "text")
    assert found.logged == [f"pool: a worker wrote  worker={GENERATION}  line=malloc(): corrupted top size"]


def test_a_traceback_becomes_lines_and_its_last_one_the_last_words() -> None:
    found = relayed(b'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nValueError: 7\n\n')
    assert [event["line"] for event in found.events] == [
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in <module>',
        "ValueError: 7",
    ]
    assert found.last_words == "ValueError: 7"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_last_words_of_a_log_line_are_its_event_and_its_reason(log_format: Format) -> None:
    found = relayed(b"some noise\n" + worker_line("cannot start", log_format, why="no such model"), log_format)
    assert found.last_words.startswith("cannot start: no such model")


@pytest.mark.parametrize(
    "line",
    [
        b'{"timestamp":"now","level":"error"',  # cut short by a kill
        b'{"level":"error","part":"worker","event":"no time"}',
        b"[1, 2]",
        b'"worker: quoted"',
        b'{"timestamp":1,"level":"error","part":"worker","event":"x"}',
        b'{"timestamp":"\xff","level":"error","part":"worker","event":"x"}',
        b'{"a":' * 20_000,
        worker_line("not me", part="gateway").strip(),
        b"\xff\xfe\x00binary",
    ],
)
def test_what_only_looks_like_a_log_line_is_wrapped_into_one(line: bytes) -> None:
    found = relayed(line + b"\n" + worker_line("goes on"))
    assert json.loads(found.through)["event"] == "goes on"
    (event,) = found.events
    assert event["line"].startswith(readable(line)[: FOREIGN_MAX - 1])
    assert found.last_words == "goes on"


@pytest.mark.parametrize(("length", "cut"), [(FOREIGN_MAX, False), (FOREIGN_MAX + 1, True)])
def test_a_foreign_line_is_bounded(length: int, cut: bool) -> None:
    (event,) = relayed(b"x" * length + b"\n").events
    assert len(event["line"]) == FOREIGN_MAX
    assert event["line"].endswith("…") == cut


@pytest.mark.parametrize(("length", "kept"), [(LAST_WORDS_MAX, LAST_WORDS_MAX), (LAST_WORDS_MAX + 1, LAST_WORDS_MAX)])
def test_the_last_words_are_bounded(length: int, kept: int) -> None:
    assert len(relayed(b"x" * length).last_words) == kept
    assert len(relayed(worker_line("y" * length)).last_words) == kept


def test_lines_longer_than_any_buffer_do_not_end_the_relaying() -> None:
    after = worker_line("still here")
    found = relayed(b"x" * 3_000_000 + b"\n" + after + b"y" * 3_000_000)
    assert found.through == after
    assert [event["line"][0] for event in found.events] == ["x", "y"]
    assert found.last_words == "y" * LAST_WORDS_MAX


def test_empty_lines_are_dropped_and_a_worker_that_says_nothing_has_no_last_words() -> None:
    found = relayed(b"\n \n\r\n")
    assert (found.last_words, found.through, found.logged) == ("", b"", [])


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_lines_are_the_same_however_the_stream_comes_in_pieces(size: int) -> None:
    written = b"one\n\ntwo, longer\nthree without an end"
    lines = Lines()
    pieces = [written[start : start + size] for start in range(0, len(written), size)]
    cut = [line for piece in pieces for line in lines.fed(piece)] + list(lines.rest())
    assert cut == [b"one", b"", b"two, longer", b"three without an end"]


@pytest.mark.parametrize(("length", "kept"), [(LINE_MAX, LINE_MAX), (LINE_MAX + 1, LINE_MAX), (3 * LINE_MAX, LINE_MAX)])
def test_of_a_line_at_most_so_much_is_kept_and_the_next_is_whole(length: int, kept: int) -> None:
    lines = Lines()
    cut = [len(line) for _ in range(2) for line in lines.fed(b"x" * (length // 2))]
    cut += [len(line) for line in lines.fed(b"x" * (length - length // 2 * 2) + b"\nnext\n")]
    assert cut == [kept, 4]


def test_colours_and_what_steers_a_terminal_are_taken_out() -> None:
    assert readable(b"\x1b[1;31m2026 [E:onnxruntime] failed\x1b[m\r") == "2026 [E:onnxruntime] failed"
    assert readable(b"a\x1b]0;title\x07b\x00c\xe2\x80\xaed") == "a ]0;title b c d"
