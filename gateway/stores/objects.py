"""Objects: bytes under a name, in a folder or a bucket. Blocking; what a storage does wrong leaves as StorageDown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class ListedObject(NamedTuple):
    """What a listing tells of one: its name, and when it was written in seconds since the epoch."""

    name: str
    written_at: float


#: What says whose a storage is; `storage_mark.py` knows what it means.
MARK = "face-api-storage"


class Objects(Protocol):
    """place: where they are, as people know it, without secrets.

    Names are ours: hex digits and dashes. A put is whole or not there at all, and never over what is there; a folder
    without its mark takes nothing but that.
    """

    @property
    def place(self) -> str: ...

    def put(self, name: str, data: bytes | bytearray | memoryview, media_type: str) -> None: ...

    def read(self, name: str) -> bytes | None:
        """None where there is none."""

    def delete(self, names: Sequence[str]) -> None:
        """Those that are there."""

    def found(self) -> Iterator[ListedObject]:
        """All there is, also what a put left that was cut off; in no order."""

    def url(self, name: str, seconds: int) -> str | None:
        """With which anybody may read it for so long; None where there are no such URLs."""
