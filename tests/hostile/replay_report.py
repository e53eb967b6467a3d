"""What a replay found, as text for people and as JSON for programs, and whether the server survived it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.hostile.process_watch import Memory
from tests.hostile.replay_client import ENDPOINTS, Sent

SLOWEST = 15
LISTED = 50
MEGABYTE = 1e6
#: Who may not end: a picture child's end costs its picture a 400 by design, and is only told.
MUST_LIVE = ("gateway processes", "workers")


@dataclass(slots=True)
class Found:
    """Everything one replay saw.

    skipped: what is no plain file or could not be read, with why. limited: requests that waited after a 429. ready:
    /readyz at the end. exit_code: of the server, where it was started here. memory, ended: by part, see `Watch`;
    children_lost: by the server's own count. None: could not be seen.
    """

    sent: list[Sent] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0
    limited: int = 0
    ready: bool = True
    exit_code: int | None = None
    memory: dict[str, Memory] = field(default_factory=dict)
    largest: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] | None = None
    children_lost: int | None = None
    last_words: list[str] = field(default_factory=list)

    @property
    def odd(self) -> list[Sent]:
        """Answers that no file may be given, and those that never came."""
        return [one for one in self.sent if one.odd]

    @property
    def survived(self) -> bool:
        """Whether every file was answered as a file may be, and everybody who should lives."""
        lost = sum((self.ended or {}).get(part, 0) for part in MUST_LIVE)
        return bool(self.sent) and not self.odd and not lost and self.ready and not self.exit_code

    def statuses(self) -> dict[str, dict[str, int]]:
        """Endpoint → status → how many; "none" for no answer."""
        counts = {
            endpoint: Counter(one.status for one in self.sent if one.endpoint == endpoint) for endpoint in ENDPOINTS
        }
        return {
            endpoint: {str(status) if status else "none": count for status, count in sorted(found.items())}
            for endpoint, found in counts.items()
        }

    def slowest(self, count: int = SLOWEST) -> list[Sent]:
        return sorted(self.sent, key=lambda one: -one.seconds)[:count]


def as_json(found: Found) -> dict[str, Any]:
    """Plain values; bytes and seconds."""
    return {
        "survived": found.survived,
        "files": len({one.name for one in found.sent}),
        "seconds": round(found.seconds, 3),
        "statuses": found.statuses(),
        "unexpected": [dataclasses.asdict(one) for one in found.odd],
        "slowest": [dataclasses.asdict(one) for one in found.slowest()],
        "skipped": found.skipped,
        "limited": found.limited,
        "ready_at_the_end": found.ready,
        "exit_code": found.exit_code,
        "memory_bytes": {part: dataclasses.asdict(memory) for part, memory in found.memory.items()},
        "largest_process_bytes": dict(found.largest),
        "ended": found.ended,
        "picture_children_lost": found.children_lost,
        "last_words": found.last_words,
    }


def as_text(found: Found) -> str:
    """Everything, under one another, the verdict last."""
    return "\n".join(
        [*_totals(found), *_odd(found), *_slowest(found), *_memory(found), *_ended(found), _verdict(found)]
    )


def _totals(found: Found) -> list[str]:
    files, size = {one.name for one in found.sent}, sum(one.size for one in found.sent) / max(1, len(ENDPOINTS))
    lines = [f"{len(files)} files, {size / MEGABYTE:.1f} MB, to each endpoint in {found.seconds:.1f} s"]
    lines += [f"  {endpoint:8} {_counted(counts)}" for endpoint, counts in found.statuses().items()]
    if found.limited:
        lines.append(f"  {found.limited} requests waited, as a 429 asked")
    if found.skipped:
        lines.append(f"  {len(found.skipped)} left out: {'; '.join(found.skipped[:5])}")
    return lines


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {status if status != 'none' else 'no answer'}" for status, count in counts.items())


def _odd(found: Found) -> list[str]:
    lines = ["", f"unexpected answers: {len(found.odd) or 'none'}"]
    lines += [f"  {one.endpoint:8} {one.status or '---'}  {one.name}: {one.words}" for one in found.odd[:LISTED]]
    return lines + ([f"  and {len(found.odd) - LISTED} more"] if len(found.odd) > LISTED else [])


def _slowest(found: Found) -> list[str]:
    rows = [
        f"  {one.seconds:8.3f} s  {one.endpoint:8} {one.status or '---'}  {one.size / MEGABYTE:8.2f} MB  {one.name}"
        for one in found.slowest()
    ]
    return ["", "slowest", *rows]


def _memory(found: Found) -> list[str]:
    if not found.memory:
        return []
    lines = ["", f"{'memory in MB':26} {'at first':>9} {'at most':>9} {'at last':>9} {'one process':>12}"]
    for part, memory in found.memory.items():
        sizes = " ".join(f"{size / MEGABYTE:9.0f}" for size in (memory.begin, memory.peak, memory.end))
        one = f"{found.largest[part] / MEGABYTE:12.0f}" if part in found.largest else ""
        lines.append(f"  {part:24} {sizes} {one}")
    return lines


def _ended(found: Found) -> list[str]:
    lines = [""]
    if found.ended is not None:
        lines.append("ended: " + ", ".join(f"{count} {part}" for part, count in found.ended.items()))
    if found.children_lost is not None:
        lines.append(f"the server counts {found.children_lost} picture children that ended without being asked to")
    return lines + [f"  {line}" for line in found.last_words]


def _verdict(found: Found) -> str:
    if found.survived:
        return "survived"
    ready = "" if found.ready else "; not ready at the end"
    code = f"; the server ended with {found.exit_code}" if found.exit_code else ""
    return f"NOT SURVIVED: {len(found.odd)} unexpected answers{ready}{code}"
