"""What came in place of a picture, told from its first bytes: words that name it and say what to send. Pure."""

from __future__ import annotations

import re

from gateway.pictures.input_formats import listed

FORMATS = listed("or")
#: So many bytes are enough to tell.
START_BYTES = 512

_SAVE = f"save the picture as {FORMATS}"
_SEND = f"send the bytes of a picture, {FORMATS}"

Table = tuple[tuple[tuple[bytes, ...], str], ...]

#: First bytes → what they are.
_FILES: Table = (
    ((b"GIF8",), f"GIF files are not accepted; {_SAVE}"),
    ((b"\xff\x0a", b"\0\0\0\x0cJXL "), f"JPEG XL files are not accepted; {_SAVE}"),
    ((b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"), f"JPEG 2000 files are not accepted; {_SAVE}"),
    ((b"8BPS",), f"Photoshop files are not accepted; {_SAVE}"),
    ((b"%PDF", b"%!PS"), f"A document came, PDF or PostScript; {_SAVE}"),
    ((b"PK\x03\x04",), f"A ZIP archive or an Office document came; {_SEND}"),
    ((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"), f"A packed file came; unpack it and {_SEND}"),
    # What binary becomes when it is read as text and written again.
    (
        (b"\xef\xbf\xbd", b"\xc3\xbf\xc3\x98\xc3\xbf", b"\xc2\x89PNG", b"?PNG\r\n", b"????"),
        f"The file was read as text on its way, which damages it; read it as binary and {_SEND}",
    ),
)
#: The same for text, in lower case and without what blanks or quotes stand before it.
_TEXTS: Table = (
    ((b"data:",), f"A data: URL came; decode what stands behind its comma from base64 and {_SEND}"),
    ((b"http://", b"https://", b"file:", b"blob:"), f"An address came, and nothing is fetched; {_SEND}"),
    ((b"[object", b"undefined", b"null", b"nan"), f"A script's printed object came, not its content; {_SEND}"),
    ((b"b'", b'b"'), f"Bytes came as Python prints them; {_SEND}"),
    ((b"{", b"["), f"JSON came; {_SEND}"),
    ((b"<!doctype html", b"<html", b"<head", b"<body"), f"An HTML page came, perhaps an error's; {_SEND}"),
    ((b"<svg",), f"An SVG drawing came; {_SAVE}"),
    ((b"<",), f"XML came; {_SEND}"),
)
#: How the formats begin in base64 and in hexadecimal.
_BASE64 = (b"/9j/", b"_9j_", b"iVBORw0KGgo", b"UklGR", b"Qk", b"SUkq", b"TU0A", b"AAAA")
_HEXADECIMAL = re.compile(
    rb"(?:0x|\\x)?(?:ffd8ff|89504e47|52494646|424d|49492a00|4d4d002a|0000[0-9a-f]{4}66747970)[0-9a-f\s]*", re.IGNORECASE
)
_BASE64_TEXT = re.compile(rb"[A-Za-z0-9+/_-]{32,}[A-Za-z0-9+/_=\s-]*")
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")
_ASCII_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]+")


def not_a_picture(start: bytes) -> str:
    """The words for a file of no accepted format; start: its first START_BYTES bytes, or all of them."""
    if start[4:8] == b"ftyp":
        return f"A video came, or HEIF of a kind that is not accepted; {_SAVE}"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\"'")
    words = _among(_FILES, start) or _of_form(start) or (_of_text(text) if _TEXT.fullmatch(text) else "")
    return words or f"The file is not a picture in one of the accepted formats: {FORMATS}"


def _among(table: Table, start: bytes) -> str:
    return next((words for begins, words in table if start.startswith(begins)), "")


def _of_text(text: bytes) -> str:
    low = text.lower()
    if _HEXADECIMAL.fullmatch(text):
        return f"The picture came as hexadecimal text; decode it and {_SEND}"
    if _BASE64_TEXT.match(text) and (text.startswith(_BASE64) or _BASE64_TEXT.fullmatch(text.rstrip(b"\"'"))):
        return f"The picture came as base64 text; decode it and {_SEND}"
    if low.startswith(b"<?xml") and b"<svg" in low:
        return _among(_TEXTS, b"<svg")
    if (words := _among(_TEXTS, low)) or not _ASCII_TEXT.fullmatch(text):
        return words
    return f"Text came, not a file; {_SEND} (curl: -F image=@photo.jpg, with the @)"


def _of_form(start: bytes) -> str:
    if start.startswith(b"--") and b"content-disposition:" in start.lower():
        return f"A form came under another Content-Type; let your HTTP client set Content-Type itself, or {_SEND}"
    return ""
