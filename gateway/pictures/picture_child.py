"""The process that decodes and masks, one picture at a time, for one gateway process. It alone may crash.

`python -m gateway.pictures.picture_child LINK SLAB PARENT MOST`: two file descriptors, its end of a socket pair and the
shared memory; the parent's process number; most bytes it may ever grow by. It ends when the link closes or the parent
does. Before it sees the first file it is shut in (`sandbox/`).
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import cv2
import msgspec

from gateway.pictures import memory_need
from gateway.pictures.anonymous_memory import Bytes, Slab, close_all, mapped, put
from gateway.pictures.child_libraries import KEPT_BYTES
from gateway.pictures.decoder_complaints import Complaints
from gateway.pictures.libjpeg_rows import lacking
from gateway.pictures.marks import Marks
from gateway.pictures.picture_messages import (
    PACKET_BYTES_MAX,
    ChildMessage,
    Close,
    Failed,
    FailureKind,
    Mask,
    MaskDone,
    Open,
    Opened,
    Ready,
    ToChild,
)
from gateway.pictures.picture_work import Decoded, mask_picture, open_overlay, open_picture
from gateway.pictures.rehearsal import rehearse
from gateway.pictures.sandbox.door import close_door
from gateway.pictures.sandbox.report import Sandbox
from gateway.pictures.views import shape_of
from shared.environment import load_decoding
from shared.errors import BadImage, BadParameter, TooLarge
from shared.processes import die_with_parent, forbid_core_files, give_memory_back
from shared.settings import MEBIBYTE, DecodingSettings

#: What a decoder may take beyond the estimate before the kernel refuses: tables, code pages, a second copy.
_SLACK_BYTES = 192 * MEBIBYTE
#: Without work for so long, a process gives back what it kept beyond so much: it is not there for one picture alone.
_IDLE_MILLISECONDS, _IDLE_BYTES = 1000, 32 * MEBIBYTE
_KINDS: dict[type[Exception], FailureKind] = {
    BadImage: "bad_image",
    TooLarge: "too_large",
    BadParameter: "bad_parameter",
}
_PAGE_BYTES = resource.getpagesize()
#: Descriptors it may have open at once: its link, its memory, one file each way and a few of Python's.
_DESCRIPTORS_MAX = 32
_WORDS_MAX = 1000


class PictureChild:
    """Serves one gateway process until it closes its end."""

    def __init__(
        self, link: socket.socket, slab: Slab, growth: Growth, settings: DecodingSettings, complaints: Complaints
    ) -> None:
        self._link = link
        self._growth = growth
        self._slab = slab
        self._settings = settings
        self._complaints = complaints
        self._held: dict[int, Decoded] = {}
        self._at_start = growth.resident()
        self._decoder = msgspec.msgpack.Decoder(ToChild)
        self._encoder = msgspec.msgpack.Encoder()

    def serve(self, sandbox: Sandbox) -> None:
        """Answers until the gateway hangs up. sandbox: how this process is shut in."""
        with contextlib.suppress(ConnectionError):  # hung up, or died, while we worked
            self._send(Ready(sandbox))
            waiting = select.poll()
            waiting.register(self._link, select.POLLIN)
            while True:
                if not waiting.poll(_IDLE_MILLISECONDS):
                    give_memory_back(_IDLE_BYTES)
                packet, descriptors, _flags, _address = socket.recv_fds(self._link, PACKET_BYTES_MAX, 4)
                if not packet:
                    return
                self._obey(self._decoder.decode(packet), descriptors)

    def _obey(self, message: ToChild, descriptors: list[int]) -> None:
        match message:
            case Open():
                self._try(message.id, lambda: self._open(message, self._received(descriptors, message.size)))
            case Mask():
                self._try(message.id, lambda: self._mask(message, self._received(descriptors, _size_of(message))))
            case Close():
                self._forget(message.id)

    def _try(self, number: int, act: Callable[[], None]) -> None:
        """Answers for what a picture can do to us; our own bugs end the process instead.

        The kernel ends this process when the picture takes more computing than it may (SIGPROF).
        """
        signal.setitimer(signal.ITIMER_PROF, self._settings.decode_timeout)
        try:
            act()
        except (BadImage, TooLarge, BadParameter) as error:
            self._send(Failed(number, _KINDS[type(error)], str(error)[:_WORDS_MAX]))
        except MemoryError:
            self._send(Failed(number, "too_large", "The picture needs more memory than it may take"))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._complaints.take()
        self._keep_little()

    def _keep_little(self) -> None:
        """What was freed goes back where it is more than a process may keep. Trimming, and touching it anew, takes
        milliseconds.
        """
        held = sum(opened.held_bytes for opened in self._held.values())
        if self._growth.resident() - self._at_start - held > KEPT_BYTES:
            give_memory_back()

    def _expect(self, need: int) -> None:
        """Lets this process grow by twice the estimate and a little more."""
        self._growth.limit(need * 2 + _SLACK_BYTES)

    def _received(self, descriptors: list[int], size: int) -> memoryview:
        """What came with a message: from memory of its own, or from the slab, where the next job overwrites it."""
        return mapped(descriptors[0], size) if descriptors else self._slab.to_child[:size]

    def _open(self, message: Open, data: memoryview) -> None:
        self._expect(memory_need.decoding(message.header, to_mask=message.to_mask) + message.size * message.kept)
        opened = open_picture(
            data, message.header, message.sides, self._settings,
            to_mask=message.to_mask, kept=message.kept, tiles=message.tiles, metadata=message.metadata,
            reach=message.reach, planar=message.planar, complaints=self._complaints.take,
        )  # fmt: skip
        if message.to_mask:
            self._held[message.id] = opened
        shapes = tuple(map(shape_of, opened.crops))
        pixels = [crop.pixels.reshape(-1).data for crop in opened.crops]
        opened.crops = ()
        self._send(Opened(message.id, shapes, opened.decode_ms, opened.preprocess_ms), pixels)

    def _forget(self, number: int) -> None:
        self._held.pop(number, None)
        self._keep_little()

    def _mask(self, message: Mask, packed: memoryview) -> None:
        marked = Marks.packed_size(message.faces, message.own)
        marks = Marks.unpacked(packed[:marked], message.faces)
        opened = self._held[message.id]
        kept_bytes = 0 if opened.kept is None else opened.kept.size
        self._expect(memory_need.masking(opened.header, message.options.format, kept_bytes, message.overlay))
        overlay = None
        if message.overlay is not None:
            overlay = open_overlay(packed[marked:], message.overlay, self._settings, self._complaints.take)
        masked = mask_picture(opened, marks, message.options, self._settings, overlay)
        told = (masked.weak, masked.as_stored, masked.mask_ms, masked.encode_ms)
        done = MaskDone(message.id, len(masked.data), *told)
        self._send(done, [masked.data])

    def _send(self, message: ChildMessage, parts: Sequence[Bytes] = ()) -> None:
        descriptor = put(parts, self._slab.to_gateway)
        descriptors = [] if descriptor is None else [descriptor]
        try:
            socket.send_fds(self._link, [self._encoder.encode(message)], descriptors)
        finally:
            close_all(descriptors)


def _size_of(message: Mask) -> int:
    """Bytes that come with it."""
    return Marks.packed_size(message.faces, message.own) + message.overlay_size


class Growth:
    """How large this process is, and may become. It is read from a file that stays open: behind the door none opens."""

    def __init__(self) -> None:
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def limit(self, more: int) -> None:
        """From now on by `more` bytes of address space; then allocations fail, in C as well."""
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_at_most(self._size() + more, hard), hard))

    def limit_for_good(self, most: int) -> None:
        """Whatever a file makes of this process: by `most` bytes in all, in memory of its own and in each it shares."""
        _lower(resource.RLIMIT_AS, self._size() + most)
        _lower(resource.RLIMIT_FSIZE, most)
        _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS_MAX)

    def resident(self) -> int:
        """Bytes of memory that are its own, which others do not share."""
        _size, resident, shared = self._pages()
        return (resident - shared) * _PAGE_BYTES

    def _size(self) -> int:
        return self._pages()[0] * _PAGE_BYTES

    def _pages(self) -> list[int]:
        """Of address space, resident, and of those shared with a file or others; proc(5), statm."""
        return [int(word) for word in os.pread(self._statm, 64, 0).split()[:3]]


def _lower(limit: int, most: int) -> None:
    """Soft and hard, so that nothing raises it again."""
    value = _at_most(most, resource.getrlimit(limit)[1])
    resource.setrlimit(limit, (value, value))


def _at_most(wanted: int, hard: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def main(arguments: list[str]) -> int:
    """Runs until the gateway hangs up or dies."""
    link_descriptor, slab_descriptor, parent, most = map(int, arguments)
    die_with_parent(parent, signal.SIGKILL)  # which nothing in here can ignore
    forbid_core_files()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    settings = load_decoding()
    complaints = Complaints()
    faulthandler.enable(sys.stderr)
    slab = Slab(slab_descriptor)
    close_all([slab_descriptor])
    rehearse(settings)
    if lack := lacking():
        print(lack, file=sys.stderr)  # its gateway logs it
    complaints.take()
    with socket.socket(fileno=link_descriptor) as link:
        growth = Growth()
        growth.limit_for_good(most)
        PictureChild(link, slab, growth, settings, complaints).serve(_shut_in(settings))
    return 0


def _shut_in(settings: DecodingSettings) -> Sandbox:
    """The last thing before the first file: what is not loaded and open by now never will be."""
    if settings.decode_sandbox == "off":
        return Sandbox(notes=("it is switched off by FACE_API_DECODE_SANDBOX",))
    return close_door()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
