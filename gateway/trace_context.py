"""A request's place in a distributed trace: W3C Trace Context, https://www.w3.org/TR/trace-context-2/.

Pure but for chance. What a caller sends is taken over when it is well formed, else replaced; it is never an error.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

HEADER, ANSWER_HEADER = b"traceparent", b"traceresponse"
#: Version, trace, the caller's span, flags; a later version may go on behind a dash.
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
#: The flags that are known: sampled, and that the trace's id is random.
SAMPLED, RANDOM = 1, 2
#: How many of a trace's last hexadecimal digits are surely random.
_RANDOM_DIGITS = 14


@dataclass(frozen=True, slots=True)
class Trace:
    """span_id: of this request. parent_id: of the caller's span; empty where the trace begins here. asked: the caller
    sent a `traceparent`, well formed or not, and is told what became of it.
    """

    trace_id: str
    span_id: str
    parent_id: str
    flags: int
    asked: bool

    @property
    def sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    @property
    def told(self) -> str:
        """As a header's value, for whoever works for this request and for its caller."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def trace_of(headers: Iterable[tuple[bytes, bytes]], share: float) -> Trace | None:
    """The caller's trace, or one that begins here: in place of a malformed one, and where a share of all is traced.

    headers: names in lower case. share: how many of the traces that begin here are sampled; with 0 none begins without
    being asked.
    """
    sent = [value for name, value in headers if name == HEADER]
    if not sent and not share:
        return None
    found = _parsed(sent[0]) if len(sent) == 1 else None
    if found is None:
        trace_id = secrets.token_hex(16)
        return Trace(trace_id, secrets.token_hex(8), "", RANDOM | _chosen(trace_id, share), bool(sent))
    trace_id, parent_id, flags = found
    return Trace(trace_id, secrets.token_hex(8), parent_id, flags & (SAMPLED | RANDOM), asked=True)


def _parsed(value: bytes) -> tuple[str, str, int] | None:
    """(trace, the caller's span, flags); None for what is no traceparent."""
    form = _FORM.fullmatch(value.strip(b" \t"))
    if form is None:
        return None
    version, trace_id, span_id, flags, more = form.groups()
    if version == b"ff" or (version == b"00" and more is not None) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return trace_id.decode(), span_id.decode(), int(flags, 16)


def _chosen(trace_id: str, share: float) -> int:
    """SAMPLED or 0; the same for everybody who sees this trace."""
    return SAMPLED if int(trace_id[-_RANDOM_DIGITS:], 16) / 16**_RANDOM_DIGITS < share else 0
