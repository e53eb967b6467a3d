"""Multipart as clients, mail libraries and upload widgets write it, in any chunks; what a part may not be is told."""

from __future__ import annotations

import asyncio
import email.policy
import gc
import re
import weakref
from collections.abc import AsyncIterator
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.form_parts import Parts
from gateway.multipart import PREAMBLE_BYTES_MAX, Multipart
from gateway.upload import read_body
from shared.errors import BadParameter, TooLarge
from tests.unit.gateway.test_upload import MULTIPART, PICTURE, part, read

WHOLE = part("confidence", b"0.6") + part("image", PICTURE, '; filename="a.jpg"') + b"--b--\r\n"


@pytest.mark.parametrize("chunk", [1, 3, 65536])
@pytest.mark.parametrize(
    "preamble",
    [
        b"\r\n", b"\r\n\r\n", b"This is a multi-part message in MIME format.\r\n", b"a - b -- c\r\n--\r\n--bb\r\nb\r\n", b"\xef\xbb\xbf",
        b'MIME-Version: 1.0\r\nContent-Type: multipart/form-data;\r\n boundary="b"\r\n\r\n', b"x\n", b"x" * (PREAMBLE_BYTES_MAX - 2) + b"\r\n",
    ],
)  # fmt: skip
def test_what_stands_before_the_first_boundary_and_behind_the_last_is_passed_over(preamble: bytes, chunk: int) -> None:
    for epilogue in (b"", b"\r\n", b"the end\r\n--b\r\nno: part\r\n\r\n"):
        upload = read(preamble + WHOLE + epilogue, chunk=chunk)
        assert (bytes(upload.image), upload.fields) == (PICTURE, [("confidence", "0.6")])


@pytest.mark.parametrize("chunk", [1, 5, 65536])
def test_a_body_whose_lines_end_in_lf_alone_is_read_like_any_other(chunk: int) -> None:
    head = b'--b\nContent-Disposition: form-data; name="%s"\n\n'
    picture = PICTURE + b"\r\n--x\r"
    upload = read(head % b"confidence" + b"0.6\n" + head % b"image" + picture + b"\n--b--\n", chunk=chunk)
    assert (bytes(upload.image), upload.fields) == (picture, [("confidence", "0.6")])


def test_a_mail_librarys_form_is_read_with_folded_headers() -> None:
    form = MIMEMultipart("form-data", "b")
    field, file = MIMENonMultipart("text", "plain"), MIMENonMultipart("image", "jpeg")
    field.add_header("Content-Disposition", "form-data", name="confidence")
    field.set_payload("0.6")
    file.add_header("Content-Disposition", "form-data", name="image", filename=" ".join(["long"] * 30) + ".jpg")
    file.set_payload("picture")
    for one in (field, file):
        form.attach(one)
    for data in (form.as_bytes(), form.as_bytes(policy=email.policy.SMTP)):
        assert b"\n filename" in data
        for chunk in (1, 65536):
            upload = read(data, b'multipart/form-data; boundary="b"', chunk)
            assert (bytes(upload.image), upload.fields) == (b"picture", [("confidence", "0.6")])


@pytest.mark.parametrize(
    "head",
    [
        'Content-Disposition: form-data; name="image"', "content-disposition:form-data;name=image", "Content-Disposition: form-data; name='image'",
        'Content-Disposition : form-data; name="image"; filename="a.jpg"', "Content-Disposition: form-data; name*=utf-8''image",
        "Content-Disposition: form-data; filename*=utf-8''%E5%9B%BE; name=\"image\"", 'Content-Disposition: form-data;\r\n\tname="image";\r\n filename="a"',
        'Content-Type: image/jpeg; charset=x\r\nContent-Disposition: attachment; filename="a;name=b"; name="image"'
    ],
)  # fmt: skip
def test_a_part_is_named_in_every_way_that_clients_write(head: str) -> None:
    upload = read(b"--b\r\n" + head.encode() + b"\r\n\r\n" + PICTURE + b"\r\n--b--")
    assert bytes(upload.image) == PICTURE


def test_blanks_behind_a_boundary_are_allowed_and_longer_words_are_content() -> None:
    picture = PICTURE + b"\r\n--bb\r\n--b \t x\r\n--b-\r\n--"
    for chunk in (1, 4, 65536):
        body = b"--b \t\r\n" + part("x", b"1")[5:-2] + b"\r\n--b  \r\n" + part("image", picture)[5:] + b"--b--  \r\n"
        upload = read(body, chunk=chunk)
        assert (bytes(upload.image), upload.fields) == (picture, [("x", "1")])


def test_an_empty_part_may_end_with_its_headers() -> None:
    upload = read(
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + part("image", PICTURE) + b"--b--", chunk=1
    )
    assert (bytes(upload.image), upload.fields) == (PICTURE, [("x", "")])


@given(
    pieces=st.lists(
        st.sampled_from(
            [b"\r", b"\n", b"\r\n", b"-", b"--", b"--b", b"b", b" ", b"\r\n--b", b"\n--bx", b"\xff\xd8", b"--c"]
        ),
        max_size=30,
    ),
    chunk=st.integers(1, 40),
    newline=st.sampled_from([b"\r\n", b"\n"]),
)
def test_any_content_comes_through_in_any_chunks(pieces: list[bytes], chunk: int, newline: bytes) -> None:
    content = b"x" + b"".join(pieces)
    if re.search(re.escape(newline) + rb"--b(--|[ \t]*\r?\n|[ \t]*\r?$)", content + newline):
        return  # holds the boundary itself
    body = newline.join([b"--b", b'Content-Disposition: form-data; name="image"', b"", content, b"--b--", b""])
    assert bytes(read(body, chunk=chunk).image) == content


@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [b"--b", b"\r\n", b"\n", b"--", b":", b"x", b'Content-Disposition: form-data; name="image"', b" "]
        ),
        max_size=40,
    ).map(b"".join),
    st.integers(1, 50),
)
def test_any_body_is_an_upload_or_a_refusal_the_same_in_any_chunks(body: bytes, chunk: int) -> None:
    def outcome(chunk: int) -> object:
        try:
            return read(body, chunk=chunk)
        except (BadParameter, TooLarge) as refusal:
            return str(refusal)

    assert outcome(chunk) == outcome(max(1, len(body)))


@pytest.mark.parametrize("header", ["Content-Transfer-Encoding", "Content-Encoding"])
@pytest.mark.parametrize("encoding", ["base64", "BASE64 ", "quoted-printable", "x-uuencode", '"base64"', "gzip"])
@pytest.mark.parametrize("name", ["image", "confidence", "other"])
def test_an_encoded_part_is_told_its_encoding_and_what_to_do(header: str, encoding: str, name: str) -> None:
    body = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n{header}: {encoding}\r\n\r\nLzlq\r\n--b--'
    with pytest.raises(BadParameter) as caught:
        read(body.encode())
    told = encoding.strip('" ').lower()
    assert f"the part '{name}' is encoded ({header}: {told})" in str(caught.value)
    assert "send the bytes as they are" in str(caught.value)


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", "BINARY", ""])
def test_encodings_that_change_nothing_are_fine(encoding: str) -> None:
    body = f'--b\r\nContent-Transfer-Encoding: {encoding}\r\nContent-Disposition: form-data; name="image"\r\n\r\nxy\r\n--b--'
    assert bytes(read(body.encode()).image) == b"xy"


@pytest.mark.parametrize("name", ["file", "photo", "images", "Image", "image[]", "files[0]"])
@pytest.mark.parametrize("more", ['; filename="a.jpg"', "; filename*=utf-8''a.jpg", "\r\nContent-Type: image/jpeg"])
def test_a_file_in_another_field_is_told_its_field(name: str, more: str) -> None:
    for others in (b"", part("image", PICTURE)):
        with pytest.raises(BadParameter, match="a file came in the field") as caught:
            read(others + part(name, PICTURE, more) + b"--b--\r\n")
        assert f"'{name}'; send the picture in the field `image`" in str(caught.value)


def test_file_inputs_left_empty_and_values_wrapped_as_files_are_fields() -> None:
    blob = '; filename="blob"\r\nContent-Type: application/json'
    body = (
        part("attachment", b"", '; filename=""')
        + part("image", b"", '; filename=""')
        + part("confidence", b"0.6", '; filename="blob"')
    )
    upload = read(body + part("metadata", b"{}", blob) + part("image", PICTURE) + part("image", b"") + b"--b--\r\n")
    assert bytes(upload.image) == PICTURE
    assert upload.fields == [("attachment", ""), ("confidence", "0.6"), ("metadata", "{}")]


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; charset=utf-8", "MULTIPART/FORM-DATA"])
def test_a_part_that_is_called_a_form_but_holds_the_file_is_the_file(kind: str) -> None:
    body = part("image", PICTURE, f'; filename="a.jpg"\r\nContent-Type: {kind}') + b"--b--\r\n"
    assert bytes(read(body).image) == PICTURE


def test_several_files_in_one_part_and_wide_characters_are_told() -> None:
    with pytest.raises(BadParameter, match="'image' holds several files"):
        read(part("image", b"--c", "\r\nContent-Type: multipart/mixed; boundary=c") + b"--b--\r\n")
    with pytest.raises(BadParameter, match="'confidence' is written in UTF-16"):
        read(part("confidence", b"0\0", "\r\nContent-Type: text/plain; charset=UTF-16LE") + b"--b--\r\n")
    for charset in ("utf-8", "ISO-8859-1", "windows-1252", "Shift_JIS", "none such"):
        field = part("confidence", b"0.6", f"\r\nContent-Type: text/plain; charset={charset}")
        assert read(field + part("image", b"x") + b"--b--\r\n").fields == [("confidence", "0.6")]


def test_a_body_that_was_read_is_let_go_at_once_and_waits_for_no_garbage_collector() -> None:
    parts = Parts(1000)
    body = Multipart(b"b", parts)
    body.feed(WHOLE)
    body.finish()
    gone = weakref.ref(body)
    gc.disable()
    try:
        del body
        assert gone() is None
    finally:
        gc.enable()
    assert bytes(parts.upload().image) == PICTURE


@given(
    contents=st.lists(st.binary(max_size=120) | st.sampled_from([b"\r\n", b"--b", b"\r\n--", b"\r\n-"]), max_size=12),
    picture_at=st.integers(0, 3),
    chunk=st.integers(1, 200),
)
def test_the_file_lies_in_the_body_where_python_multipart_finds_it(
    contents: list[bytes], picture_at: int, chunk: int
) -> None:
    content = b"x" + b"".join(contents)
    if b"\r\n--b" in content + b"\r\n":
        return
    fields = [part(f"f{number}", b"%d" % number) for number in range(3)]
    body = b"".join([*fields[:picture_at], part("image", content), *fields[picture_at:], b"--b--\r\n"])
    whole = bytearray()

    async def growing() -> AsyncIterator[bytearray]:
        for start in range(0, len(body), chunk):
            whole.extend(body[start : start + chunk])
            yield whole

    image = asyncio.run(read_body(MULTIPART, growing(), 10_000)).image
    assert image.obj is whole
    assert [image] == [data for name, data in by_python_multipart(body) if name == b"image"]


def by_python_multipart(body: bytes) -> list[tuple[bytes, bytes]]:
    """Names and contents of the parts."""
    names, found = bytearray(), list[bytearray]()
    callbacks = {
        "on_part_begin": lambda: found.append(bytearray()),
        "on_header_value": lambda data, start, end: names.extend(data[start:end] + b"\n"),
        "on_part_data": lambda data, start, end: found[-1].extend(data[start:end]),
    }
    parser = MultipartParser(b"b", callbacks)  # type: ignore[arg-type]
    parser.write(body)
    parser.finalize()
    told = [parse_options_header(bytes(line))[1][b"name"] for line in names.splitlines()]
    return [(name, bytes(data)) for name, data in zip(told, found, strict=True)]
