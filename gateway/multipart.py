"""A multipart body as RFC 2046 5.1 describes it, read in pieces as they come. Knows its frame, not what parts mean.

    [preamble] --boundary [blanks] newline  headers  empty line  content  newline --boundary … --boundary-- [epilogue]

Preamble and epilogue are passed over; header lines may be folded. The first boundary line says what a newline is:
CRLF, as it should be, or LF alone, as mail libraries and scripts write it. Content is told by its place in the body,
and not copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, cast

from shared.errors import BadParameter

#: Far more than mail libraries write there; RFC 2046 gives no bound.
PREAMBLE_BYTES_MAX = 16 * 1024
#: Of one part: a file name of 255 characters, written twice and escaped, takes three.
HEADER_BYTES_MAX = 8 * 1024

#: What follows a boundary: the end, or blanks (mail gateways add some) and a newline; and what may yet become that.
_LINE_REST = re.compile(rb"--|[ \t]{0,256}\r?\n")
_LINE_REST_BEGUN = re.compile(rb"-?|[ \t]{0,256}\r?")
#: No boundary line is longer; boundaries themselves have 200 bytes at most.
_LINE_MAX = 512
_FOLD = re.compile(rb"\r?\n[ \t]+")
_NEWLINE = re.compile(rb"\r?\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: Lines of content that only begin like the boundary: each costs a look, and RFC 2046 forbids them.
ALIKE_MAX = 1000

PartHeaders = dict[bytes, bytes]
#: As far as it has come; it grows in place.
Body = bytes | bytearray
_Step = Callable[["Multipart", Body, int], int]


class Receiver(Protocol):
    """What is told of the parts, in order; may raise to end it all."""

    def begin(self, headers: PartHeaders) -> None:
        """A part begins; names in lower case, values unfolded, the first of each name."""

    def content(self, body: Body, begin: int, end: int) -> None:
        """Of the part that has begun; the next piece begins where this one ends."""

    def end(self) -> None: ...


class Multipart:
    """Feed it the body again whenever more has come; `finish` says whether it was whole. Raises BadParameter."""

    def __init__(self, boundary: bytes, receiver: Receiver) -> None:
        self._dashes = b"--" + boundary
        self._delimiter = b"\r\n" + self._dashes
        self._receiver = receiver
        self._step: _Step = Multipart._preamble
        self._came = self._at = 0
        self._lead = 0
        self._alike = 0
        self._block = bytearray()

    def feed(self, body: Body) -> None:
        """body: all of it that has come, from its first byte on."""
        self._came, step = len(body), cast("_Step | None", None)
        while step != self._step:
            step = self._step
            self._at = step(self, body, self._at)

    def finish(self) -> None:
        """Raises BadParameter where the closing boundary never came."""
        if self._step == Multipart._preamble:
            words = "the boundary that its Content-Type names is not in the body; let your HTTP client set Content-Type"
            raise BadParameter(f"{words} itself" if self._came else "the body is empty")
        if self._step != Multipart._epilogue:
            raise BadParameter("the multipart body ends before its closing boundary; send it whole")

    # Each step reads from `start`, gives back how far it came, and names the next one: as a plain function, since a
    # bound one would hold this object, and with it a whole picture, until the garbage collector comes.

    def _preamble(self, body: Body, start: int) -> int:
        while (end := body.find(b"\n", start)) >= 0 and self._step == Multipart._preamble:
            if start <= PREAMBLE_BYTES_MAX:
                self._first_boundary(bytes(body[start : end + 1]))
            start = end + 1
        if self._step == Multipart._preamble and len(body) > PREAMBLE_BYTES_MAX + _LINE_MAX:
            raise BadParameter(
                f"no boundary in the first {PREAMBLE_BYTES_MAX // 1024} KB of the multipart body; "
                "let your HTTP client set Content-Type itself"
            )
        return start

    def _first_boundary(self, line: bytes) -> None:
        line = line.removeprefix(_BYTE_ORDER_MARK)
        rest = _LINE_REST.match(line, len(self._dashes)) if line.startswith(self._dashes) else None
        if rest is not None and rest.end() <= _LINE_MAX:
            self._delimiter = (b"\r\n" if line.endswith(b"\r\n") else b"\n") + self._dashes
            self._step = Multipart._epilogue if rest[0] == b"--" else Multipart._headers

    def _headers(self, body: Body, start: int) -> int:
        while (end := body.find(b"\n", start)) >= 0 and len(self._block) <= HEADER_BYTES_MAX:
            line, start = bytes(body[start : end + 1]), end + 1
            if line in (b"\r\n", b"\n"):
                self._receiver.begin(_parsed(bytes(self._block)))
                self._block.clear()
                self._step = Multipart._content
                # The line's end may be the boundary's own newline, where the content is empty.
                self._lead = len(line) if self._delimiter.startswith(line + b"-") else 0
                return start - self._lead
            self._block += line
        if len(self._block) + len(body) - start > HEADER_BYTES_MAX:
            raise BadParameter(f"the headers of a part of the multipart body are over {HEADER_BYTES_MAX // 1024} KB")
        return start

    def _content(self, body: Body, start: int) -> int:
        while (found := body.find(self._delimiter, start)) >= 0:
            behind = found + len(self._delimiter)
            if (rest := _LINE_REST.match(body, behind)) is not None:
                self._pass_on(body, start, found)
                self._receiver.end()
                self._step = Multipart._epilogue if rest[0] == b"--" else Multipart._headers
                return rest.end()
            if _LINE_REST_BEGUN.fullmatch(body, behind):
                break
            start = self._pass_on(body, start, behind)  # content that looks like a boundary: a longer word
            self._alike += 1
            if self._alike > ALIKE_MAX:
                raise BadParameter("the boundary stands in the content of a part again and again; choose another one")
        end = found if found >= 0 else self._perhaps_begun(body, start)
        return self._pass_on(body, start, end)

    def _epilogue(self, body: Body, _start: int) -> int:
        return len(body)

    def _perhaps_begun(self, body: Body, start: int) -> int:
        """Where at the end of the body a boundary may have begun; its newline is nowhere else in it."""
        tail = max(start, len(body) - len(self._delimiter) + 1)
        at = body.rfind(self._delimiter[:1], tail)
        return at if at >= 0 and self._delimiter.startswith(bytes(body[at:])) else len(body)

    def _pass_on(self, body: Body, start: int, end: int) -> int:
        begin = start + self._lead
        if begin <= end:
            self._lead = 0
            self._receiver.content(body, begin, end)
        return end


def _parsed(block: bytes) -> PartHeaders:
    headers: PartHeaders = {}
    for line in _NEWLINE.split(_FOLD.sub(b" ", block)):
        name, colon, value = line.partition(b":")
        if colon and name.strip():
            headers.setdefault(name.strip().lower(), value.strip())
        elif line.strip():
            raise BadParameter("a part of the multipart body lacks the empty line between its headers and its content")
    return headers
