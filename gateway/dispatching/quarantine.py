"""Quarantine: what is known of pictures that ended workers, and for how long. Pure: `now` is an argument.

A finding is a name and nothing else: digest, time, standing. So it is whole or absent, and needs no lock to be added.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from gateway.dispatching.work_queue import Work

#: Most findings kept, of all gateway processes together; beyond it the oldest go.
REMEMBERED_MAX = 1024
#: How long a finding counts.
REMEMBERED_S = 600.0
#: A finding may be so much later than the moment of who reads it, which may have stood still; a later is not ours.
AHEAD_S_MAX = 60.0
#: Rows of a picture that are looked at before the whole of it.
GLANCE_ROWS = 4
GLANCE_BYTES, DIGEST_BYTES = 4, 32

#: suspected: in the hand of a worker that ended. poison: a worker ended while it ran this one alone, as a suspect.
Standing = Literal["suspected", "poison"]
_NAME = re.compile(rf"([0-9a-f]{{{2 * DIGEST_BYTES}}})\.([0-9]{{1,15}})\.(suspected|poison)")


def glance_of(work: Work) -> bytes:
    """The first 4 bytes of its digest, from a few rows: microseconds, where the whole digest takes a millisecond."""
    rows = work.crops[0]
    return zlib.crc32(rows[:: max(1, len(rows) // GLANCE_ROWS)].tobytes()).to_bytes(GLANCE_BYTES)


def digest_of(work: Work) -> bytes:
    """32 bytes, kept in the work: its pixels as a worker sees them, whatever is asked of them.

    The first look alone: with a second one it is still the same picture, for detect and for mask.
    """
    if not work.digest:
        header = work.headers[0]
        hashed = hashlib.blake2b(work.crops[0].data, digest_size=DIGEST_BYTES - GLANCE_BYTES)
        hashed.update(f"{header.rows}x{header.cols} in {header.side}".encode())
        work.digest = glance_of(work) + hashed.digest()
    return work.digest


@dataclass(frozen=True, slots=True)
class Finding:
    """at: seconds of a clock that all processes of the host read alike (CLOCK_MONOTONIC)."""

    digest: bytes
    at: float
    standing: Standing

    @property
    def name(self) -> str:
        return f"{self.digest.hex()}.{round(self.at * 1000)}.{self.standing}"


def finding_of(name: str) -> Finding | None:
    """None for a name that is no finding's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return Finding(bytes.fromhex(match[1]), int(match[2]) / 1000, "poison" if match[3] == "poison" else "suspected")


def in_force(names: Iterable[str], now: float) -> list[Finding]:
    """The findings that count now, oldest first: none that is over or no finding's name, and not too many."""
    found = [finding for finding in map(finding_of, names) if finding is not None]
    current = [finding for finding in found if now - REMEMBERED_S < finding.at <= now + AHEAD_S_MAX]
    return sorted(current, key=lambda finding: finding.at)[-REMEMBERED_MAX:]


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What the findings say together. until: when the first of them is over and they are to be read again."""

    standings: dict[bytes, Standing] = field(default_factory=dict)
    glances: frozenset[bytes] = frozenset()
    until: float = float("inf")

    def standing(self, work: Work) -> Standing | None:
        """Costs nothing while no picture is remembered, and next to nothing for pictures that are not."""
        if not self.standings or not (work.digest or glance_of(work) in self.glances):
            return None
        return self.standings.get(digest_of(work))


def quarantine_of(findings: list[Finding]) -> Quarantine:
    """findings: oldest first. One that ended a worker alone is poison, whatever else was found."""
    standings: dict[bytes, Standing] = {}
    for finding in findings:
        if standings.get(finding.digest) != "poison":
            standings[finding.digest] = finding.standing
    glances = frozenset(digest[:GLANCE_BYTES] for digest in standings)
    return Quarantine(standings, glances, findings[0].at + REMEMBERED_S if findings else float("inf"))
