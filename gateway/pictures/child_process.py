"""A picture child as its gateway sees it: started, given one job at a time, watched. Alone knows why one died."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gateway.pictures.anonymous_memory import Bytes, Slab, close_all, mapped, put
from gateway.pictures.picture_messages import (
    PACKET_BYTES_MAX,
    Close,
    Failed,
    Mask,
    MaskDone,
    Open,
    Opened,
    Ready,
    ToGateway,
    answers,
    from_child,
    size_with,
)
from shared.errors import BadImage, BadParameter, DetectionFailed, FaceApiError, Overloaded, TooLarge
from shared.settings import Settings, decoder_environment

PROGRAM = "gateway.pictures.picture_child"
_ROOT = Path(__file__).resolve().parents[2]
#: A child that did not say Ready in this time never will.
_START_SECONDS = 30.0
#: The child counts seconds of computing and is ended by the kernel; one that stands still is ended by this many more.
_WALL_PER_COMPUTING = 3
_FAILURES: dict[str, type[FaceApiError]] = {
    "bad_image": BadImage,
    "too_large": TooLarge,
    "bad_parameter": BadParameter,
}
#: Signals by which the kernel or a decoder ends a process over the data it was given.
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGXCPU}

_encoder = msgspec.msgpack.Encoder()


@dataclass(eq=False, slots=True)
class Answer:
    """What a child said about a job, and the memory that came with it."""

    message: Opened | MaskDone
    memory: memoryview


@dataclass(eq=False, slots=True)
class Job:
    """One message that is answered, and what goes with it.

    started: a child has it; from then on it runs to its end, whoever still waits for the answer.
    """

    message: Open | Mask
    payload: Bytes
    answer: asyncio.Future[Answer]
    child: Child | None = None
    started: bool = field(default=False)

    def __post_init__(self) -> None:
        self.answer.add_done_callback(_look_at)

    def when_over(self, act: Callable[[], None]) -> None:
        """Calls `act` when no child works on it (any more): now, or when the answer comes that nobody awaits."""
        if self.started and not self.answer.done():
            self.answer.add_done_callback(lambda _: act())
        else:
            act()


def _look_at(answer: asyncio.Future[Answer]) -> None:
    """Marks an error as seen: whoever asked may have left."""
    if not answer.cancelled():
        answer.exception()


class Child:
    """A started process. when_free: it can take a job. when_gone: it has died; its pictures are lost."""

    def __init__(
        self, settings: Settings, when_free: Callable[[Child], None], when_gone: Callable[[Child], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._log = logging.getLogger("face_api.pictures")
        self._seconds = settings.decode_timeout
        self._when_free, self._when_gone = when_free, when_gone
        self._process, self._link, self._slab = _start(settings)
        self._loop.add_reader(self._link.fileno(), self._readable)
        self._watchdog = self._loop.call_later(_START_SECONDS, self.kill)
        self._timed_out = False
        self.running: Job | None = None
        self.pinned: deque[Job] = deque()  # jobs on pictures that only this child holds
        self.ready = False
        self.gone = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def free(self) -> bool:
        return self.ready and self.running is None and not self.gone

    def start(self, job: Job) -> None:
        """Hands a job over; the watchdog runs from now."""
        assert self.free
        self.running, job.child, job.started = job, self, True
        descriptor = put([job.payload], self._slab.to_child)
        descriptors = [] if descriptor is None else [descriptor]
        try:
            socket.send_fds(self._link, [_encoder.encode(job.message)], descriptors)
        except OSError:
            self._die()
            return
        finally:
            close_all(descriptors)
        self._watchdog = self._loop.call_later(self._seconds * _WALL_PER_COMPUTING, self._too_long)

    def forget(self, picture: int) -> None:
        """Lets the child free a picture."""
        if self.gone:
            return
        try:
            self._link.send(_encoder.encode(Close(picture)))
        except OSError:  # its queue is full of these: it has not read for very long
            self.kill()

    def kill(self) -> None:
        """Ends it at once; what follows is the same as for a crash."""
        self._process.kill()

    def hang_up(self) -> None:
        """Asks it to end: it does when its link closes."""
        self.gone = True
        self._watchdog.cancel()
        self._loop.remove_reader(self._link.fileno())
        self._link.close()

    def wait(self, seconds: float) -> None:
        """Blocks until it has ended, by force after `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _readable(self) -> None:
        try:
            packet, descriptors, _flags, _address = socket.recv_fds(self._link, PACKET_BYTES_MAX, 1)
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b"", []
        if not packet:
            self._die()
            return
        try:
            message = from_child(packet)
        except ValueError:  # not one of our children any more
            close_all(descriptors)
            self.kill()
            return
        try:
            self._take(message, self._received(descriptors, size_with(message)))
        except (ValueError, OSError):  # it announced what it did not send, or answers what it was not asked
            self.kill()

    def _received(self, descriptors: list[int], size: int) -> memoryview:
        """What came with a message; copied out of the slab, which the next job overwrites."""
        if descriptors:
            return mapped(descriptors[0], size)
        if size > len(self._slab.to_gateway):
            raise ValueError("more memory than a slab has")
        return memoryview(bytes(self._slab.to_gateway[:size]))

    def _take(self, message: ToGateway, memory: memoryview) -> None:
        """Raises ValueError for an answer to nothing."""
        job = self.running
        if isinstance(message, Ready):
            if self.ready:
                raise ValueError("ready twice")
            self.ready = True
        elif job is None or not answers(message, job.message):
            raise ValueError("an answer to nothing")
        elif not job.answer.done():
            if isinstance(message, Failed):
                job.answer.set_exception(_FAILURES[message.kind](message.words))
            else:
                job.answer.set_result(Answer(message, memory))
        self._watchdog.cancel()
        self.running = None
        self._when_free(self)

    def _too_long(self) -> None:
        self._timed_out = True
        self.kill()

    def _die(self) -> None:
        self.hang_up()
        self.wait(1.0)
        self._log.warning("picture child %d ended with %d", self.pid, self._process.returncode)
        if self.running is not None and not self.running.answer.done():
            self.running.answer.set_exception(self._cause())
        self.running = None
        self._when_gone(self)

    def _cause(self) -> FaceApiError:
        if self._timed_out or -self._process.returncode == signal.SIGPROF:
            return BadImage(f"The picture takes more than {self._seconds:g} seconds to process")
        if -self._process.returncode in _CRASHES:
            return BadImage("The picture could not be processed: the decoder failed on it")
        if self._process.returncode > 0:  # a mistake of ours, with its traceback on standard error
            return DetectionFailed("The picture could not be processed")
        return Overloaded()


def _start(settings: Settings) -> tuple[subprocess.Popen[bytes], socket.socket, Slab]:
    """A child in a session of its own, so that signals to the gateway's group do not end it in the middle of work."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    memory = Slab.descriptor()
    slab = Slab(memory)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM, str(theirs.fileno()), str(memory), str(os.getpid())],
            pass_fds=[theirs.fileno(), memory],
            stdin=subprocess.DEVNULL,
            env=decoder_environment(settings),
            cwd=_ROOT,
            start_new_session=True,
        )
    close_all([memory])
    ours.setblocking(False)
    return process, ours, slab
