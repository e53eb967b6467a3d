"""A body is gathered in one memory as it comes: whole, unchanged, without pauses, and never more than was counted."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvicorn
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from uvicorn.server import ServerState

from gateway.edge import whole_bodies
from gateway.edge.connections import Connections
from gateway.edge.conversation import Patience
from gateway.edge.http_protocol import Protocol, protocol_class
from gateway.edge.refusals import LATE
from gateway.record import record_of
from tests.waiting import until

#: As many bytes as the socket and the protocol would hold back together.
LARGE = 4 * 1024 * 1024
ENDLESS = 2**40

PATTERN = (bytes(range(251)) * (LARGE // 251 + 1))[:LARGE]

Application = Callable[[Any, AsyncIterator[bytearray]], Awaitable[bytes]]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]
#: Ours, and the one that others run it in.
LOOPS = (uvloop.new_event_loop, asyncio.new_event_loop)


def run(met: Coroutine[Any, Any, None], loop_factory: LoopFactory) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(met)


class Meeting:
    """One connection with our protocol, whose requests an application answers that reads their bodies gathered."""

    def __init__(self, application: Application, most: int = ENDLESS) -> None:
        self._application, self._most = application, most
        self.pauses, self._got = 0, b""
        self.protocol: Protocol
        self.client: socket.socket

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[Meeting]:
        loop = asyncio.get_running_loop()
        bound = protocol_class(Connections(Patience(), 10, 10, lambda _: False))
        config = uvicorn.Config(self._answer, http=bound, ws="none", interface="asgi3", log_config=None)
        config.load()
        self.protocol = bound(config=config, server_state=ServerState(), app_state={}, _loop=loop)
        self.client, theirs = socket.socketpair()
        with self.client:
            self.client.setblocking(False)
            await loop.connect_accepted_socket(lambda: self.protocol, theirs)
            pause = self.protocol.flow.pause_reading
            self.protocol.flow.pause_reading = lambda: (self._count(), pause())[1]  # type: ignore[method-assign]
            yield self
        await until(self.protocol.transport.is_closing)

    def _count(self) -> None:
        self.pauses += 1

    async def _answer(self, scope: Any, _receive: Any, send: Any) -> None:
        gather = record_of(scope).body
        assert gather is not None
        answer = await self._application(scope, gather(self._most))
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]}
        )
        await send({"type": "http.response.body", "body": answer})

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            await asyncio.get_running_loop().sock_sendall(self.client, piece)
            await asyncio.sleep(0)

    async def answer(self) -> bytes:
        """The body of the next one."""
        while b"\r\n\r\n" not in self._got:
            await self._receive()
        head, _, self._got = self._got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(self._got) < length:
            await self._receive()
        body, self._got = self._got[:length], self._got[length:]
        return body

    async def _receive(self) -> None:
        part = await asyncio.get_running_loop().sock_recv(self.client, 1 << 20)
        assert part, "the connection ended before the answer"
        self._got += part


def head(length: int | None, more: str = "") -> bytes:
    told = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"POST / HTTP/1.1\r\nHost: a\r\n{told}\r\n{more}\r\n".encode()


def giving_up_after(count: int) -> Application:
    """An application that answers when so many bytes of a body have come."""

    async def giving_up(scope: Any, growing: AsyncIterator[bytearray]) -> bytes:
        protocol: Any = getattr(record_of(scope).body, "__self__")  # noqa: B009 — a bound method's
        reading = asyncio.ensure_future(whole(scope, growing))
        await until(lambda: protocol.arriving.body >= count)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return b"enough"

    return giving_up


async def whole(_scope: Any, growing: AsyncIterator[bytearray]) -> bytes:
    """An application that gives back what it got."""
    return [bytes(body) async for body in growing][-1]


@given(
    bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=3),
    chunked=st.booleans(),
    size=st.integers(1, 400),
    most=st.sampled_from([1, 50, ENDLESS]),
    straight=st.sampled_from([1, 100, ENDLESS]),
)
def test_bodies_arrive_as_they_were_sent_however_they_are_cut(
    bodies: list[bytes], *, chunked: bool, size: int, most: int, straight: int
) -> None:
    """straight: what must be missing of a body for it to come past the parser."""

    async def met() -> None:
        async with Meeting(whole, most).held() as meeting:
            for body in bodies:
                data = head(len(body)) + body
                if chunked:
                    parts = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part]
                    data = b"".join([head(None), *parts, b"0\r\n\r\n"])
                await meeting.send(*(data[at : at + size] for at in range(0, len(data), size)))
                assert await meeting.answer() == body

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(whole_bodies, "STRAIGHT_BYTES_MIN", straight)
        asyncio.run(met())


@pytest.mark.parametrize("loop_factory", LOOPS)
@pytest.mark.parametrize(("told", "pauses"), [(True, 1), (False, 0)])
def test_what_was_counted_is_read_without_stops_and_its_reader_woken_seldom(
    told: bool, pauses: int, loop_factory: LoopFactory
) -> None:
    """Only until its reader is there, where its length is told."""
    looks = []

    async def looking(_scope: Any, growing: AsyncIterator[bytearray]) -> bytes:
        looks.extend([len(body) async for body in growing])
        return b"read"

    async def met() -> None:
        async with Meeting(looking, LARGE).held() as meeting:
            pieces = [PATTERN[at : at + 10_000] for at in range(0, LARGE, 10_000)]
            if not told:
                pieces = [*(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]
            await meeting.send(head(LARGE if told else None), *pieces)
            assert await meeting.answer() == b"read"
            assert meeting.pauses <= pauses

    run(met(), loop_factory)
    assert looks[-1] == LARGE
    assert all(later >= 2 * earlier for earlier, later in itertools.pairwise(looks[:-1]))


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_a_long_body_is_the_same_and_what_follows_it_the_next_request(loop_factory: LoopFactory) -> None:
    async def met() -> None:
        async with Meeting(whole, LARGE).held() as meeting:
            for _ in range(3):
                sending = asyncio.ensure_future(meeting.send(head(LARGE) + PATTERN + head(5) + b"again"))
                assert await meeting.answer() == PATTERN
                assert await meeting.answer() == b"again"
                await sending

    run(met(), loop_factory)


@pytest.mark.parametrize("loop_factory", LOOPS)
@pytest.mark.parametrize("sent", [60_000, 200_000])
def test_who_is_answered_in_the_midst_of_a_long_body_may_send_its_rest_and_ask_again(
    sent: int, loop_factory: LoopFactory
) -> None:
    async def met() -> None:
        async with Meeting(giving_up_after(sent)).held() as meeting:
            for _ in range(2):
                await meeting.send(head(300_000), PATTERN[:sent])
                assert await meeting.answer() == b"enough"
                await meeting.send(PATTERN[sent:300_000])

    run(met(), loop_factory)


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_who_is_answered_long_before_the_end_may_send_it_all_and_reads_his_answer(loop_factory: LoopFactory) -> None:
    async def met() -> None:
        async with Meeting(giving_up_after(200_000)).held() as meeting:
            await meeting.send(head(LARGE), PATTERN)
            assert await meeting.answer() == b"enough"
            assert await asyncio.get_running_loop().sock_recv(meeting.client, 1) == b""

    run(met(), loop_factory)


@pytest.mark.parametrize("loop_factory", LOOPS)
@pytest.mark.parametrize("asked", [True, False])
def test_a_refusal_by_the_connection_itself_is_read_too(asked: bool, loop_factory: LoopFactory) -> None:
    refused = asyncio.Event()

    async def waiting(scope: Any, growing: AsyncIterator[bytearray]) -> bytes:
        if not asked:
            await refused.wait()
        with contextlib.suppress(ClientDisconnect):
            await whole(scope, growing)
        return b""

    async def met() -> None:
        async with Meeting(waiting).held() as meeting:
            await meeting.send(head(LARGE), PATTERN[:100])
            await until(lambda: meeting.protocol.arriving.body == 100 or meeting.protocol.flow.read_paused)
            meeting.protocol._misunderstood(LATE)
            refused.set()
            await meeting.send(PATTERN[100:])
            assert b"too long to arrive" in await meeting.answer()

    run(met(), loop_factory)


def test_what_was_not_counted_is_not_read_until_it_is_asked_for() -> None:
    async def met() -> None:
        asked = asyncio.Event()

        async def slow(scope: Any, growing: AsyncIterator[bytearray]) -> bytes:
            async for _ in growing:
                await asked.wait()
                break
            return await whole(scope, growing)

        async with Meeting(slow, 1000).held() as meeting:
            sending = asyncio.ensure_future(meeting.send(head(LARGE), bytes(LARGE)))
            await until(lambda: meeting.protocol.flow.read_paused)
            assert len(meeting.protocol.cycle.body) < LARGE
            assert not sending.done()
            asked.set()
            assert len(await meeting.answer()) == LARGE

    asyncio.run(met())


@pytest.mark.parametrize("sent", [0, 10, 100_000])
def test_a_client_that_leaves_before_its_body_is_whole_is_told_of(sent: int) -> None:
    async def met() -> None:
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def waiting(scope: Any, growing: AsyncIterator[bytearray]) -> bytes:
            try:
                return await whole(scope, growing)
            except ClientDisconnect:
                left.set_result(None)
                raise

        async with Meeting(waiting).held() as meeting:
            await meeting.send(head(LARGE), bytes(sent))
            await until(lambda: meeting.protocol.arriving.body == sent)
            meeting.client.close()
            await left

    asyncio.run(met())


@pytest.mark.parametrize("early", [True, False])
def test_a_connection_keeps_no_body_once_it_was_answered(early: bool) -> None:
    async def first(scope: Any, growing: AsyncIterator[bytearray]) -> bytes:
        if early:
            return b"%d" % len(await anext(growing))
        return await whole(scope, growing)

    async def met() -> None:
        async with Meeting(first).held() as meeting:
            await meeting.send(head(1000), bytes(900), *([] if early else [bytes(100)]))
            await meeting.answer()
            await until(lambda: meeting.protocol.cycle.response_complete)
            assert not meeting.protocol.cycle.body
            await meeting.send(bytes(100) if early else b"", head(5), b"again")
            assert await meeting.answer() in (b"5", b"again")
            assert not meeting.protocol.cycle.body

    asyncio.run(met())


def test_who_waits_to_be_told_to_go_on_is_told_when_the_body_is_wanted() -> None:
    async def met() -> None:
        async with Meeting(whole).held() as meeting:
            await meeting.send(head(5, "Expect: 100-continue\r\n"))
            told = await asyncio.get_running_loop().sock_recv(meeting.client, 1000)
            assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
            await meeting.send(b"hello")
            assert await meeting.answer() == b"hello"

    asyncio.run(met())
