"""A picture child as its gateway sees it: started, given one job at a time, watched. Alone knows why one died.

A child has decoded strangers' files, and a stranger may speak through it: whatever it says is checked before it is
used, and one that says what no child says is ended.
"""

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
from pathlib import Path

import msgspec

from gateway.pictures import memory_need
from gateway.pictures.anonymous_memory import Slab, close_all, put, received
from gateway.pictures.child_libraries import for_libraries
from gateway.pictures.child_words import ChildWords
from gateway.pictures.crop_memory import CropMemory
from gateway.pictures.picture_jobs import ChildAnswer, CrashedError, Job
from gateway.pictures.picture_messages import (
    PACKET_BYTES_MAX,
    Close,
    Failed,
    FromChild,
    Opened,
    Ready,
    answers,
    from_child,
    size_with,
)
from gateway.pictures.sandbox.report import Sandbox
from shared.environment import decoder_environment
from shared.errors import BadImage, BadParameter, DetectionFailed, FaceApiError, Overloaded, TooLarge
from shared.settings import Settings

PROGRAM = "gateway.pictures.picture_child"
_ROOT = Path(__file__).resolve().parents[2]
#: A child that did not say Ready in this time never will.
_START_SECONDS = 30.0
#: The child counts seconds of computing and is ended by the kernel; one that stands still is ended by this many more.
_WALL_PER_COMPUTING = 3
#: One that hung up has this long to end by itself and say why; its end is looked for so often.
_END_SECONDS, _LOOK_SECONDS = 1.0, 0.002
_FAILURES: dict[str, type[FaceApiError]] = {
    "bad_image": BadImage,
    "too_large": TooLarge,
    "bad_parameter": BadParameter,
}
#: Signals by which the kernel or a decoder ends a process over the data it was given.
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGXCPU}

_encoder = msgspec.msgpack.Encoder()


class Child:
    """A started process. when_free: it can take a job. when_gone: it has ended unasked; its pictures are lost.

    crops: where to put the crops that it makes, while there is room.
    """

    def __init__(
        self,
        settings: Settings,
        when_free: Callable[[Child], None],
        when_gone: Callable[[Child], None],
        crops: CropMemory | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._log = logging.getLogger("face_api.pictures")
        self._seconds = settings.decode_timeout
        self._must_be_shut_in = settings.decode_sandbox == "required"
        self._when_free, self._when_gone, self._crops = when_free, when_gone, crops
        self._process, self._link, self._slab = _start(settings)
        assert self._process.stderr is not None
        self._words = ChildWords(self._process.stderr, f"picture child {self.pid}", self._log, self._breach)
        self._loop.add_reader(self._link.fileno(), self._readable)
        self._watchdog = self._loop.call_later(_START_SECONDS, self.kill)
        self._timed_out = self._breached = False
        self._first_picture: int | None = None
        self._alone = True
        self.sandbox: Sandbox | None = None  # what it said when it was ready
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

    @property
    def fresh(self) -> bool:
        """It has never had a job."""
        return self._first_picture is None and not self.gone

    def start(self, job: Job) -> None:
        """Hands a job over; the watchdog runs from now."""
        assert self.free
        self.running, job.child, job.started = job, self, True
        self._first_picture = job.message.id if self._first_picture is None else self._first_picture
        self._alone = self._alone and job.message.id == self._first_picture
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

    def retire(self) -> None:
        """Hangs up; its end is awaited beside other work."""
        self.hang_up()
        self._await_end(self._loop.time() + _END_SECONDS, self._words.close)

    def wait(self, seconds: float) -> None:
        """Blocks until it has ended, by force after `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """After its end: lets go of what it wrote."""
        self._words.close()

    def _readable(self) -> None:
        try:
            packet, descriptors, _flags, _address = socket.recv_fds(self._link, PACKET_BYTES_MAX, 1)
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b"", []
        if not packet:
            close_all(descriptors)
            self._die()
            return
        said = self._checked(packet, descriptors)
        if said is None:
            self._breach()
        else:
            self._take(*said)

    def _checked(self, packet: bytes, descriptors: list[int]) -> tuple[FromChild, memoryview] | None:
        """A message that is right at this moment, and the memory that comes with it; None for anything else."""
        try:
            message = from_child(packet)
            return (message, self._memory(descriptors, message)) if self._is_awaited(message) else None
        except Exception:  # whatever a stranger's words can raise, they are no answer
            return None
        finally:
            close_all(descriptors)

    def _is_awaited(self, message: FromChild) -> bool:
        if isinstance(message, Ready):
            return not self.ready
        if self.running is None or not answers(message, self.running.message):
            return False
        return isinstance(message, Failed) or self.running.is_right(message)

    def _memory(self, descriptors: list[int], message: FromChild) -> memoryview:
        """What came with a message; copied out of the slab, which the next job overwrites."""
        size = size_with(message)
        if descriptors:
            return received(descriptors.pop(), size)
        if size > len(self._slab.to_gateway):
            raise ValueError("more memory than a slab has")
        room = self._crops.lend(size) if self._crops is not None and isinstance(message, Opened) else None
        if room is None:
            return memoryview(bytes(self._slab.to_gateway[:size]))
        room[:] = self._slab.to_gateway[:size]
        return room.toreadonly()

    def _take(self, message: FromChild, memory: memoryview) -> None:
        self._watchdog.cancel()
        if isinstance(message, Ready):
            self._let_in(message.sandbox)
            return
        job, self.running = self.running, None
        assert job is not None
        if isinstance(message, Failed):
            job.fail(_FAILURES[message.kind](message.words))
        else:
            job.succeed(ChildAnswer(message, memory))
            self._pin(job.then)
        self._when_free(self)

    def _let_in(self, sandbox: Sandbox) -> None:
        """It may work, unless it had to be shut in and is not."""
        self.sandbox = sandbox
        if self._must_be_shut_in and not sandbox.whole:
            self.kill()
            return
        self.ready = True
        self._when_free(self)

    def _pin(self, following: Job | None) -> None:
        if following is not None:
            following.child = self
            self.pinned.appendleft(following)

    def _too_long(self) -> None:
        self._timed_out = True
        self.kill()

    def _breach(self) -> None:
        """It said what no child of ours says."""
        if not self._breached:
            self._log.error("picture child %d says what no decoder says; a file may have taken it over", self.pid)
        self._breached = True
        self.kill()

    def _die(self) -> None:
        self.hang_up()
        self._await_end(self._loop.time() + _END_SECONDS, self._buried)

    def _await_end(self, until: float, then: Callable[[], None]) -> None:
        """Looks for its end again and again, without blocking: one that only closed its link lives on."""
        if self._process.poll() is not None:
            then()
            return
        if self._loop.time() >= until:
            self._breached = True
            self.kill()
        self._loop.call_later(_LOOK_SECONDS, self._await_end, until, then)

    def _buried(self) -> None:
        self._words.close()
        self._log.warning("picture child %d ended with %d%s", self.pid, self._process.returncode, self._explained())
        if self.running is not None:
            self.running.fail(self._cause())
        self.running = None
        self._when_gone(self)

    def _explained(self) -> str:
        if self._process.returncode != -signal.SIGSYS:
            return ""
        return (
            ": it made a system call that no decoder makes. If every picture ends so, the libraries here need what the "
            "sandbox forbids, and FACE_API_DECODE_SANDBOX=off does without it"
        )

    def _cause(self) -> Exception:
        if self._timed_out or -self._process.returncode == signal.SIGPROF:
            return BadImage(f"The picture takes more than {self._seconds:g} seconds to process")
        if self._breached or -self._process.returncode in _CRASHES:
            return CrashedError(alone=self._alone)
        if self._process.returncode > 0:  # a mistake of ours, with its traceback in the log
            return DetectionFailed("The picture could not be processed")
        return Overloaded()


def _start(settings: Settings) -> tuple[subprocess.Popen[bytes], socket.socket, Slab]:
    """A child in a session of its own, so that signals to the gateway's group do not end it in the middle of work.

    It inherits its link and the shared memory, and no file, terminal or log of ours.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    memory = Slab.descriptor()
    slab = Slab(memory)
    most = memory_need.child_most(settings, memory_need.memory_of_host())
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM, *map(str, (theirs.fileno(), memory, os.getpid(), most))],
            pass_fds=[theirs.fileno(), memory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=decoder_environment(settings) | for_libraries(settings),
            cwd=_ROOT,
            start_new_session=True,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        close_all([memory])
    ours.setblocking(False)
    return process, ours, slab
