"""The body of a request, read into memory under a limit; never to a file. Knows multipart and raw image bodies.

A multipart body holds the file in the field `image` and may hold parameters in others; a raw `image/*`
body is the file itself. Whatever is over a limit is refused as soon as that is known.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.unknown_names import IMAGE_FIELD, shown
from shared import numerals
from shared.errors import BadParameter, TooLarge, UnsupportedMedia

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

#: Beside the file: parameters and the multipart framing around them.
FIELDS_MAX = 32
FIELD_BYTES_MAX = 1024
FIELD_NAME_MAX = 256
FRAMING_BYTES_MAX = 64 * 1024


@dataclass(slots=True)
class Upload:
    """image: the file's bytes. fields: the other form fields, in order."""

    image: bytearray
    fields: list[tuple[str, str]] = field(default_factory=list)


def too_large(image_bytes_max: int) -> TooLarge:
    return TooLarge(f"Image exceeds {image_bytes_max / 2**20:g} MB; send a smaller file")


def check_declared_length(headers: list[tuple[bytes, bytes]], image_bytes_max: int) -> None:
    """Refuses a body that says itself that it is too long, before a byte of it is read."""
    for name, value in headers:
        if name != b"content-length":
            continue
        declared = numerals.count(value.decode("latin-1"))
        if declared is not None and declared > image_bytes_max + FRAMING_BYTES_MAX:
            raise too_large(image_bytes_max)


def check_encoding(headers: list[tuple[bytes, bytes]]) -> None:
    """Refuses a packed body, before a byte of it is read; the answer says which encoding is taken (RFC 9110 12.5.3)."""
    said = b",".join(value for name, value in headers if name == b"content-encoding").decode("latin-1")
    packed = [name.strip() for name in said.split(",") if name.strip().lower() not in ("", "identity")]
    if packed:
        words = f"the body is packed (Content-Encoding: {shown(', '.join(packed))[1:-1]}), which is not accepted"
        error = UnsupportedMedia(f"{words}; send it as it is, without Content-Encoding: pictures are small already")
        error.headers = (("Accept-Encoding", "identity"),)
        raise error


async def read_upload(content_type: bytes, chunks: AsyncIterator[bytes], image_bytes_max: int) -> Upload:
    """Reads a whole body. Raises TooLarge (413), UnsupportedMedia (415), BadParameter (422)."""
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        boundary = options.get(b"boundary", b"")
        if not 1 <= len(boundary) <= 200:
            raise BadParameter(
                "the multipart body has no usable boundary; let your HTTP client set Content-Type itself"
            )
        return await _read_multipart(boundary, chunks, image_bytes_max)
    if kind.startswith(b"image/") or kind == b"application/octet-stream":
        return await _read_raw(chunks, image_bytes_max)
    raise UnsupportedMedia(
        "send multipart/form-data with the file in the field `image`, or the file itself as image/jpeg, image/png, …"
    )


async def _read_raw(chunks: AsyncIterator[bytes], image_bytes_max: int) -> Upload:
    image = bytearray()
    async for chunk in chunks:
        if len(image) + len(chunk) > image_bytes_max:
            raise too_large(image_bytes_max)
        image += chunk
    if not image:
        raise BadParameter("the body is empty; send the image file")
    return Upload(image)


async def _read_multipart(boundary: bytes, chunks: AsyncIterator[bytes], image_bytes_max: int) -> Upload:
    parts = _Parts(image_bytes_max)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        received = 0
        async for chunk in chunks:
            received += len(chunk)
            if received > image_bytes_max + FRAMING_BYTES_MAX:
                raise too_large(image_bytes_max)
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise BadParameter(f"the multipart body is malformed: {error}") from None
    return parts.upload()


class _Parts:
    """Collects the parser's events; the image goes into one growing buffer."""

    def __init__(self, image_bytes_max: int) -> None:
        self._image_bytes_max = image_bytes_max
        self._image: bytearray | None = None
        self._fields: list[tuple[str, str]] = []
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._name = ""
        self._value = bytearray()
        self._complete = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_piece,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def upload(self) -> Upload:
        if not self._complete:
            raise BadParameter("the multipart body ends before its closing boundary; send it whole")
        if self._image is None:
            raise BadParameter(f"the field `{IMAGE_FIELD}` is missing; send the file in it")
        if not self._image:
            raise BadParameter(f"the field `{IMAGE_FIELD}` is empty; send the image file in it")
        return Upload(self._image, self._fields)

    def _begin(self) -> None:
        self._disposition = self._header_name = self._header_value = b""
        self._name = ""
        self._value = bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_piece(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"")
        if not name or len(name) > FIELD_NAME_MAX:
            raise BadParameter("a part of the multipart body has no usable name; name the file part `image`")
        self._name = name.decode("utf-8", "replace")
        if self._name != IMAGE_FIELD:
            if len(self._fields) >= FIELDS_MAX:
                raise BadParameter(f"more than {FIELDS_MAX} form fields; send the image and its parameters only")
        elif self._image is not None:
            raise BadParameter(f"the field `{IMAGE_FIELD}` is there twice; send one picture per request")
        else:
            self._image = bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == IMAGE_FIELD:
            assert self._image is not None
            if len(self._image) + end - start > self._image_bytes_max:
                raise too_large(self._image_bytes_max)
            self._image += memoryview(data)[start:end]
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_BYTES_MAX:
            raise BadParameter(
                f"the form field {self._name[:40]!r} is over {FIELD_BYTES_MAX} bytes; the file belongs in `image`"
            )

    def _end(self) -> None:
        if self._name != IMAGE_FIELD:
            self._fields.append((self._name, self._value.decode("utf-8", "replace")))

    def _finish(self) -> None:
        self._complete = True
