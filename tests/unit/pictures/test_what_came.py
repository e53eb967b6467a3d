"""What is no picture is told what it is and what to send; nothing of a parser or a decoder is repeated."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pictures.what_came import FORMATS, START_BYTES, not_a_picture

JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(range(256)) * 4
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 4
FORM = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + JPEG


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"data:image/png;base64," + base64.b64encode(PNG), "A data: URL"),
        (base64.b64encode(JPEG), "base64 text"),
        (base64.encodebytes(PNG), "base64 text"),
        (base64.urlsafe_b64encode(JPEG), "base64 text"),
        (b'"' + base64.b64encode(b"RIFF" + JPEG) + b'"', "base64 text"),
        (JPEG.hex().encode(), "hexadecimal"),
        (b"\\x" + PNG.hex().encode(), "hexadecimal"),
        (b'{"image": "' + base64.b64encode(JPEG) + b'"}', "JSON"),
        (b'[\n {"url": 1}]', "JSON"),
        (b"\xef\xbb\xbf <!DOCTYPE html>\n<title>404 \xe2\x80\x94</title>", "An HTML page"),
        (b"<HTML><body>Bad gateway", "An HTML page"),
        (b'<?xml version="1.0"?><svg xmlns="x">', "An SVG drawing"),
        (b'<?xml version="1.0"?><Error>', "XML"),
        (b"https://example.org/a.jpg", "An address"),
        (b"[object File]", "printed object"),
        (b"undefined", "printed object"),
        (repr(JPEG).encode(), "as Python prints them"),
        (b"photo.jpg", "-F image=@photo.jpg"),
        (b"@photo.jpg", "-F image=@photo.jpg"),
        (FORM, "A form came under another Content-Type"),
        (JPEG.decode("latin-1").encode(), "read as text"),
        (JPEG.decode("utf-8", "replace").encode(), "read as text"),
        (PNG.decode("latin-1").encode(), "read as text"),
        (b"GIF89a" + bytes(100), "GIF"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04" + bytes(100), "ZIP"),
        (b"\x1f\x8b\x08" + bytes(100), "packed"),
        (b"", "not a picture"),
        (bytes(1000), "not a picture"),
    ],
)
def test_what_came_is_named_with_what_to_send(data: bytes, words: str) -> None:
    told = not_a_picture(data[:START_BYTES])
    assert words in told
    assert FORMATS in told


@given(st.binary(max_size=START_BYTES))
def test_any_bytes_have_words(start: bytes) -> None:
    assert FORMATS in not_a_picture(start)
