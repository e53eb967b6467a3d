"""Admission: how many requests, and how many bytes of them, may be in the house at once. Pure counting.

Decided before a body is read (by count and by declared length); a permit gives its place back exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from shared.errors import Overloaded


@dataclass(slots=True)
class Admission:
    """requests_max, bytes_max: the house rules; requests, bytes: who is in."""

    requests_max: int
    bytes_max: int
    requests: int = 0
    bytes: int = 0
    refused: int = 0

    def enter(self, declared_bytes: int) -> Permit:
        """A place for one request of so many body bytes. Raises Overloaded at once when there is none."""
        if self.requests >= self.requests_max or (self.requests and self.bytes + declared_bytes > self.bytes_max):
            self.refused += 1
            raise Overloaded
        self.requests += 1
        self.bytes += declared_bytes
        return Permit(self, declared_bytes)


@dataclass(slots=True)
class Permit:
    """A place in the house, as a context manager."""

    admission: Admission
    held_bytes: int

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.admission.requests -= 1
        self.admission.bytes -= self.held_bytes
