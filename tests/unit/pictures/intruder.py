"""A picture child that a file has taken over: what stands behind a PNG's end names what it answers instead of a picture."""

from __future__ import annotations

import mmap
import os
import socket
import sys
import time
from collections.abc import Callable

import msgspec

from gateway.pictures.anonymous_memory import Slab, stored
from gateway.pictures.picture_messages import ChildMessage, CropShape, Failed, Open, Opened, Ready, ToChild
from gateway.pictures.sandbox.report import Sandbox

Lie = Callable[[int], object]
#: The last bytes of every PNG.
END = b"IEND\xaeB`\x82"
#: Of a 64×64 picture, in an input of 64.
SQUARE, HALF = CropShape(64, 64, 64, 1.0), CropShape(32, 32, 32, 0.5)


class Intruder:
    """Speaks as a child does, up to its first job."""

    def __init__(self, link: socket.socket | None, slab: Slab | None = None) -> None:
        self.link, self.slab = link, slab

    def say(self, message: ChildMessage | bytes, *descriptors: int) -> None:
        packet = message if isinstance(message, bytes) else msgspec.msgpack.encode(message)
        socket.send_fds(self.link, [packet], list(descriptors))

    def serve(self) -> None:
        self.say(Ready(Sandbox()))
        while packet := self.link.recv(1 << 16):
            asked = msgspec.msgpack.decode(packet, type=ToChild)
            if isinstance(asked, Open):
                lie = bytes(self.slab.to_child[: asked.size]).rpartition(END)[2].decode()
                self.lies()[lie](asked.id)

    def lies(self) -> dict[str, Lie]:
        one = (SQUARE,)
        return {
            "says it is ready again": lambda _: self.say(Ready(Sandbox())),
            "has thousands of crops": lambda job: self.say(Opened(job, one * 2000, 1.0, 1.0), memory(2000 * 12288)),
            "has another crop": lambda job: self.say(Opened(job, (HALF,), 1.0, 1.0)),
            "sends less than it says": lambda job: self.say(Opened(job, one, 1.0, 1.0), memory(100)),
            "keeps what it sends": lambda job: self.say(Opened(job, one, 1.0, 1.0), kept(12288)),
            "sends a pipe": lambda job: self.say(Opened(job, one, 1.0, 1.0), os.pipe()[0]),
            "sends a file": lambda job: self.say(Opened(job, one, 1.0, 1.0), os.open("/etc/passwd", os.O_RDONLY)),
            "sends many descriptors": lambda job: self.say(Failed(job + 1, "bad_image", "x"), *os.pipe(), *os.pipe()),
            "nests": lambda job: self.say(b"\x95\xa6Failed\x01\xa9bad_image\xa1x" + b"\x91" * 60_000, memory(1)),
            "goes on speaking": lambda job: [self.say(Failed(job + 1, "bad_image", "x")) for _ in range(200)],
            "closes its link and lives": lambda _: (self.link.close(), time.sleep(60)),
            "floods the log": lambda _: [sys.stderr.write("forged " * 1000) for _ in range(100)],
        }


def memory(size: int) -> int:
    return stored([bytes(size)])


def kept(size: int) -> int:
    """Memory that this process could still change."""
    descriptor = memory(size)
    mappings.append(mmap.mmap(descriptor, size))
    return descriptor


mappings: list[mmap.mmap] = []

if __name__ == "__main__":
    link, slab, *_ = map(int, sys.argv[1:])
    Intruder(socket.socket(fileno=link), Slab(slab)).serve()
