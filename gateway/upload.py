"""The body of a request, read into memory under a limit; never to a file. Knows multipart and raw image bodies.

A multipart body holds the file in the field `image` and may hold parameters in others; a raw `image/*`
body is the file itself. Whatever is over a limit is refused as soon as that is known.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from python_multipart.multipart import parse_options_header

from gateway.form_parts import OVERLAY_BYTES_MAX, Parts, Upload, too_large
from gateway.multipart import Multipart
from gateway.record import HeaderPairs, texts_of
from gateway.unknown_names import shown
from shared import numerals
from shared.errors import BadParameter, UnsupportedMedia

#: The multipart framing around the file, with its other fields and the picture that is laid over faces.
FRAMING_BYTES_MAX = 64 * 1024 + OVERLAY_BYTES_MAX

_SEND = "send multipart/form-data with the file in the field `image`, or the file itself as image/jpeg, image/png, …"
_CODINGS = ("Content-Encoding", "Transfer-Encoding")
#: Content and transfer codings that leave the body's bytes as they are, or that the server has undone.
_NOT_PACKED = ("", "identity", "chunked")
#: What came by its Content-Type → why it cannot be a picture.
_NO_PICTURE = {
    "": "the request has no Content-Type",
    "application/x-www-form-urlencoded": "a url-encoded form cannot carry a file (curl: use -F image=@photo.jpg)",
    "application/json": "JSON cannot carry a file",
    "text/plain": "text/plain is text",
    "text/html": "text/html is a page",
}


def check_head(headers: HeaderPairs, image_bytes_max: int) -> None:
    """Refuses a body by what its headers say, before a byte of it is read. UnsupportedMedia (415), TooLarge (413)."""
    check_encoding(headers)
    check_declared_length(headers, image_bytes_max)
    if len({value for name, value in headers if name == b"content-type"}) > 1:
        raise UnsupportedMedia(f"Content-Type is there twice and differs; {_SEND}")


def check_declared_length(headers: HeaderPairs, image_bytes_max: int) -> None:
    """Refuses a body that says itself that it is too long."""
    for name, value in headers:
        if name != b"content-length":
            continue
        declared = numerals.count(value.decode("latin-1"))
        if declared is not None and declared > image_bytes_max + FRAMING_BYTES_MAX:
            raise too_large(image_bytes_max)


def check_encoding(headers: HeaderPairs) -> None:
    """Refuses a packed body; the answer says which encoding is taken (RFC 9110 12.5.3)."""
    for header in _CODINGS:
        said = [name.strip() for text in texts_of(headers, header.lower().encode()) for name in text.split(",")]
        packed = [name for name in said if name.lower() not in _NOT_PACKED]
        if packed:
            words = f"the body is packed ({header}: {shown(', '.join(packed))[1:-1]}), which is not accepted"
            error = UnsupportedMedia(f"{words}; send it as it is, without {header}: pictures are small already")
            error.headers = (("Accept-Encoding", "identity"),)
            raise error


async def gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytearray]:
    """A body that comes in pieces, in one memory that grows: again with every piece."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        yield body


async def read_upload(content_type: bytes, chunks: AsyncIterator[bytes], image_bytes_max: int) -> Upload:
    """Reads a whole body that comes in pieces."""
    return await read_body(content_type, gathered(chunks), image_bytes_max)


async def read_body(content_type: bytes, growing: AsyncIterator[bytearray], image_bytes_max: int) -> Upload:
    """Reads a whole body. growing: all of it that has come, in the same memory every time.

    Raises TooLarge (413), UnsupportedMedia (415), BadParameter (422).
    """
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        boundary = options.get(b"boundary", b"")
        if not 1 <= len(boundary) <= 200:
            raise BadParameter(
                "the multipart body has no usable boundary; let your HTTP client set Content-Type itself"
            )
        return await _read_multipart(boundary, growing, image_bytes_max)
    if kind.startswith(b"image/") or kind == b"application/octet-stream":
        return await _read_raw(growing, image_bytes_max)
    told = kind.decode("latin-1")
    raise UnsupportedMedia(f"{_NO_PICTURE.get(told, f'Content-Type {shown(told)} is not accepted')}; {_SEND}")


async def _read_raw(growing: AsyncIterator[bytearray], image_bytes_max: int) -> Upload:
    image = bytearray()
    async for image in growing:
        if len(image) > image_bytes_max:
            raise too_large(image_bytes_max)
    if not image:
        raise BadParameter("the body is empty; send the image file")
    return Upload(memoryview(image))


async def _read_multipart(boundary: bytes, growing: AsyncIterator[bytearray], image_bytes_max: int) -> Upload:
    parts = Parts(image_bytes_max)
    multipart = Multipart(boundary, parts)
    async for body in growing:
        if len(body) > image_bytes_max + FRAMING_BYTES_MAX:
            raise too_large(image_bytes_max)
        multipart.feed(body)
    multipart.finish()
    return parts.upload()
