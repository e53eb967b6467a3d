"""Bodies: multipart and raw, under limits, in any chunks, never beyond memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.form_parts import FIELD_BYTES_MAX, FIELDS_MAX, OVERLAY_BYTES_MAX, PARTS_MAX, Upload
from gateway.multipart import ALIKE_MAX, HEADER_BYTES_MAX
from gateway.upload import FRAMING_BYTES_MAX, check_declared_length, check_head, read_upload
from shared.errors import BadParameter, FaceApiError, TooLarge, UnsupportedMedia

LIMIT = 1000
MULTIPART = b"multipart/form-data; boundary=b"
PICTURE = bytes(range(256)) * 3


def part(name: str, data: bytes, extra: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + data + b"\r\n"


def read(body: bytes, content_type: bytes = MULTIPART, chunk: int = 65536) -> Upload:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk):
            yield body[start : start + chunk]

    return asyncio.run(read_upload(content_type, chunks(), LIMIT))


@pytest.mark.parametrize("chunk", [1, 7, 100, 65536])
def test_the_picture_and_the_fields_arrive_whole_in_any_chunks(chunk: int) -> None:
    body = (
        part("confidence", b"0.6")
        + part("image", PICTURE, '; filename="a b.jpg"')
        + part("max_faces", b"3")
        + b"--b--\r\n"
    )
    upload = read(body, chunk=chunk)
    assert bytes(upload.image) == PICTURE
    assert upload.fields == [("confidence", "0.6"), ("max_faces", "3")]


def test_a_second_file_may_come_in_overlay_and_a_text_there_is_a_parameter() -> None:
    picture, overlay = part("image", PICTURE, '; filename="a.jpg"'), part("overlay", b"its bytes", '; filename="o.png"')
    empty, named = part("overlay", b"", '; filename=""'), part("overlay", b"star")
    upload = read(picture + empty + overlay + b"--b--\r\n")
    assert (upload.overlay, upload.fields) == (b"its bytes", [])
    assert read(picture + named + b"--b--\r\n").fields == [("overlay", "star")]
    for wrong, words in (
        (overlay + overlay, "is there twice"),
        (part("overlay", bytes(OVERLAY_BYTES_MAX + 1), '; filename="o.png"'), "is over 256 KB"),
        (part("overlay", bytes(FIELD_BYTES_MAX + 1)), "send a picture to lay over faces with a file name"),
    ):
        with pytest.raises(BadParameter, match=words):
            read(picture + wrong + b"--b--\r\n")


@pytest.mark.parametrize("kind", [b"image/jpeg", b"image/x-anything", b"application/octet-stream"])
def test_a_raw_body_is_the_picture(kind: bytes) -> None:
    assert bytes(read(PICTURE, kind).image) == PICTURE


def test_the_limit_holds_to_the_byte() -> None:
    for body, kind in ((part("image", b"x" * LIMIT) + b"--b--\r\n", MULTIPART), (b"x" * LIMIT, b"image/png")):
        assert len(read(body, kind).image) == LIMIT
    for body, kind in (
        (part("image", b"x" * (LIMIT + 1)) + b"--b--\r\n", MULTIPART),
        (b"x" * (LIMIT + 1), b"image/png"),
    ):
        with pytest.raises(TooLarge):
            read(body, kind)


def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    check_declared_length([(b"content-length", str(LIMIT + FRAMING_BYTES_MAX).encode())], LIMIT)
    with pytest.raises(TooLarge):
        check_declared_length([(b"content-length", str(LIMIT + FRAMING_BYTES_MAX + 1).encode())], LIMIT)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "body is empty"),
        (b"\r\n--b\r\n", "closing boundary"),
        (part("image", PICTURE), "closing boundary"),
        (part("confidence", b"1") + b"--b--\r\n", "`image` is missing; what came is 'confidence'; send the file"),
        (b"--b--\r\n", "`image` is missing; send the file"),
        (part("image", b"") + b"--b--\r\n", "`image` is empty"),
        (part("image", PICTURE) * 2 + b"--b--\r\n", "twice"),
        (b"no multipart at all", "boundary that its Content-Type names is not in the body"),
        (b"--c\r\n" + part("image", PICTURE)[5:] + b"--c--\r\n", "boundary that its Content-Type names is not in the"),
        (b"--b\r\nContent-Disposition\r\n\r\nx\r\n--b--\r\n", "empty line between its headers"),
        (b"--b\r\nx: " + b"y" * HEADER_BYTES_MAX + b"\r\n\r\n", "headers of a part .* are over"),
        (part("x", b"\r\n--bb" * (ALIKE_MAX + 1)), "choose another"),
        (part("image", b"") * (PARTS_MAX + 1), "more than 64 parts"),
        (b"--b\r\n\r\nanonymous\r\n--b--\r\n", "no usable name"),
        (part("confidence", b"1" * (FIELD_BYTES_MAX + 1)) + part("image", b"x") + b"--b--\r\n", "belongs in `image`"),
        (part("x", b"1") * (FIELDS_MAX + 1) + part("image", b"x") + b"--b--\r\n", "form fields"),
        (b"\r\n" * FRAMING_BYTES_MAX, "no boundary in the first 16 KB"),
        (b"x" * FRAMING_BYTES_MAX, "no boundary in the first 16 KB"),
    ],
)
def test_a_wrong_multipart_body_is_told_what_is_wrong(body: bytes, words: str) -> None:
    with pytest.raises(FaceApiError, match=words) as caught:
        read(body)
    assert caught.value.status in (413, 422)


@pytest.mark.parametrize(
    "kind", [b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=" + b"b" * 300]
)
def test_a_boundary_that_cannot_be_is_refused(kind: bytes) -> None:
    with pytest.raises(BadParameter, match="boundary"):
        read(b"--b--\r\n", kind)


@pytest.mark.parametrize("kind", [b"", b"application/x-www-form-urlencoded", b"application/json", b"text/plain"])
def test_other_content_types_are_refused_with_what_to_send(kind: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="multipart/form-data"):
        read(b"image=x", kind)


def test_an_empty_raw_body_is_refused() -> None:
    with pytest.raises(BadParameter, match="empty"):
        read(b"", b"image/jpeg")


@pytest.mark.parametrize(
    "said", ["gzip", "br", "zstd", "deflate", "x-gzip", "GZIP", "gzip, br", "identity, gzip", "aws-chunked"]
)
def test_a_packed_body_is_told_its_encoding_and_what_is_taken(said: str) -> None:
    with pytest.raises(UnsupportedMedia, match="Content-Encoding: ") as caught:
        check_head([(b"content-encoding", said.encode())], LIMIT)
    assert said.rpartition(", ")[2] in str(caught.value)
    assert caught.value.headers == (("Accept-Encoding", "identity"),)


def test_a_body_that_is_packed_for_the_way_is_told_so() -> None:
    with pytest.raises(UnsupportedMedia, match="Transfer-Encoding: gzip"):
        check_head([(b"transfer-encoding", b"gzip, chunked")], LIMIT)


def test_a_body_that_is_said_to_be_plain_is_plain() -> None:
    plain = [(b"content-encoding", b"identity"), (b"content-encoding", b" Identity,"), (b"content-type", b"a/b")]
    check_head([*plain, (b"transfer-encoding", b"Chunked")], LIMIT)


def test_two_content_types_that_differ_are_refused() -> None:
    check_head([(b"content-type", b"image/png")] * 2, LIMIT)
    with pytest.raises(UnsupportedMedia, match="twice and differs"):
        check_head([(b"content-type", b"image/png"), (b"content-type", b"image/jpeg")], LIMIT)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("", "no Content-Type"), ("application/x-www-form-urlencoded", "url-encoded form cannot carry a file"), ("application/json", "JSON"),
        ("text/plain; charset=utf-8", "text/plain is text"), ("multipart/mixed; boundary=b", "'multipart/mixed' is not accepted"),
    ],
)  # fmt: skip
def test_another_content_type_is_named(kind: str, words: str) -> None:
    with pytest.raises(UnsupportedMedia, match=f"{words}.*; send multipart/form-data"):
        read(b"image=x", kind.encode())
