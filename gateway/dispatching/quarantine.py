"""Quarantine: pictures that ended two workers, remembered for a while by hash alone. Pure: `now` is an argument."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from gateway.dispatching.work_queue import Work

#: Most hashes kept; beyond it the oldest go.
REMEMBERED_MAX = 1024


def digest_of(work: Work) -> bytes:
    """What a worker sees of a picture, hashed: its crops and their shapes, not the thresholds."""
    hashed = hashlib.blake2b(digest_size=32)
    for header, crop in zip(work.headers, work.crops, strict=True):
        hashed.update(f"{header.rows}x{header.cols} in {header.side};".encode())
        hashed.update(crop.data)
    return hashed.digest()


@dataclass(slots=True)
class Quarantine:
    """seconds: how long a picture is remembered."""

    seconds: float
    _until: OrderedDict[bytes, float] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._until)

    def put(self, work: Work, now: float) -> None:
        digest = digest_of(work)
        self._until[digest] = now + self.seconds
        self._until.move_to_end(digest)
        while len(self._until) > REMEMBERED_MAX:
            self._until.popitem(last=False)

    def holds(self, work: Work, now: float) -> bool:
        """Whether this picture is to be refused. Costs nothing while no picture is remembered."""
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        return bool(self._until) and digest_of(work) in self._until
