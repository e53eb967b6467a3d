"""Bodies of requests: multipart and raw, however they are cut into chunks, and parameters from query and form."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Coroutine, Iterator
from decimal import Decimal
from typing import Any, TypeVar, get_args

import msgspec
from starlette.datastructures import QueryParams

from gateway.form_parts import FIELD_BYTES_MAX, FIELD_NAME_MAX, FIELDS_MAX, Upload
from gateway.params import SECOND_SIDES, DetectParams, MaskParams, parse_params
from gateway.routes.admin import CreateBody, RotateBody
from gateway.routes.json_body import read_json
from gateway.unknown_names import ignored_names
from gateway.upload import read_upload
from shared import numerals
from shared.errors import BadParameter, ClientError, TooLarge, UnsupportedMedia
from tests.fuzz.target import check_words, steps_within

IMAGE_BYTES_MAX = 1000
_STEPS_FREE, _STEPS_PER_BYTE = 3000, 60

Result = TypeVar("Result")


def finished(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    raise AssertionError("it waits for something")


def read(content_type: bytes, body: bytes, chunk: int) -> Upload | tuple[type[ClientError], str]:
    """What was uploaded, or the refusal."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk):
            yield body[start : start + chunk]

    try:
        return finished(read_upload(content_type, chunks(), IMAGE_BYTES_MAX))
    except (BadParameter, TooLarge, UnsupportedMedia) as error:
        check_words(error)
        return type(error), str(error)


def check_body(data: bytes) -> None:
    """The first line is the Content-Type, the rest the body; how it is cut into chunks changes nothing."""
    content_type, _, body = data.partition(b"\n")
    with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * len(data)):
        whole = read(content_type, body, max(1, len(body)))
    chunk = 1 + len(data) % 61
    assert read(content_type, body, chunk) == whole, f"in chunks of {chunk}"
    if isinstance(whole, Upload):
        assert 1 <= len(whole.image) <= IMAGE_BYTES_MAX
        assert len(whole.fields) <= FIELDS_MAX
        for name, value in whole.fields:
            assert 1 <= len(name) <= FIELD_NAME_MAX
            assert len(value) <= FIELD_BYTES_MAX


def check_form(data: bytes) -> None:
    """A well made form arrives as it was sent. Lines of `name=value`; the last is the picture."""
    *lines, picture = data.split(b"\n")
    boundary = b"b-" * 8
    if boundary in data or not picture:
        return
    sent = [(f"x{index}-{len(line)}", line) for index, line in enumerate(lines[:4])]
    parts = [part(boundary, name, value) for name, value in [*sent, ("image", picture)]]
    body = b"".join([*parts, b"--", boundary, b"--\r\n"])
    found = read(b'multipart/form-data; boundary="' + boundary + b'"', body, 1 + len(data) % 83)
    assert isinstance(found, Upload), found
    assert bytes(found.image) == picture
    assert found.fields == [(name, value.decode("utf-8", "replace")) for name, value in sent]


def part(boundary: bytes, name: str, value: bytes) -> bytes:
    """One part as browsers write it."""
    head = f'\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
    return b"--" + boundary + head + value + b"\r\n"


def check_params(data: bytes) -> None:
    """The first line is a query string, the others are form fields; what is accepted is in range and comes back."""
    query, *form = data.decode("latin-1").split("\n")
    pairs = [tuple(line.partition("=")[::2]) for line in form]
    for kind in (DetectParams, MaskParams):
        found = parsed(kind, QueryParams(query).multi_items(), pairs)  # type: ignore[arg-type]
        if found is None:
            continue
        msgspec.convert(msgspec.to_builtins(found), kind)  # strictly, with every range
        assert found.second_side in (None, *SECOND_SIDES)
        told = [
            (name, _text(value)) for name, value in msgspec.structs.asdict(found).items() if value not in (None, ())
        ]
        assert parsed(kind, told, []) == parsed(kind, [], told) == found
        ignored = ignored_names(kind.__struct_fields__, QueryParams(query).multi_items(), pairs)  # type: ignore[arg-type]
        assert re.fullmatch(r"[\x21-\x7e, ]*", ignored), f"no value of a header: {ignored!r}"


def parsed(
    kind: type[DetectParams | MaskParams], query: list[tuple[str, str]], form: list[tuple[str, str]]
) -> DetectParams | MaskParams | None:
    """The parameters, None where they are refused."""
    size = sum(len(name) + len(text) for name, text in [*query, *form])
    try:
        with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * size + 3000 * len(query + form)):
            return parse_params(kind, query, form)
    except BadParameter as error:
        check_words(error)
        return None


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return msgspec.json.encode(value).decode()
    return repr(value) if isinstance(value, float) else str(value)


def check_number(data: bytes) -> None:
    """What is read as a number is that number to Python's decimal arithmetic; anything else is none, quickly."""
    text = data.decode("latin-1")
    with steps_within(_STEPS_FREE):
        whole, real, count = numerals.whole(text), numerals.real(text), numerals.count(text)
    plain = numerals.stripped(text).replace("e ", "e").replace("E ", "E")
    if real is None:
        assert whole is None
    else:
        exact = Decimal(plain)
        assert real == float(exact)
        assert whole is None or whole == exact
        assert whole is None or abs(whole) < 10**numerals.DIGITS_MAX
    if count is not None:
        assert re.fullmatch("[0-9]+", text)
        assert count == int(text)


def check_json(data: bytes) -> None:
    """A body of the admin endpoints: the struct, or words by field."""
    for kind in (CreateBody, RotateBody):
        try:
            with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * len(data)):
                found = read_json(data, kind)
        except BadParameter as error:
            check_words(error)
            continue
        assert read_json(msgspec.json.encode(found), kind) == found


def number_seeds() -> Iterator[bytes]:
    for text in ("0", "5", "05", "5.0", ".5", "5.", "+5", "-5", "5e0", "5E-1", "1e 5", "1e+400", " 7 ", "9" * 19, "9" * 20, "0" * 200,
                 "0x10", "1_000", "1,5", "inf", "nan", "\xb2", "1e999999999", "1e-999999999", "-0", "", "e5", "."):  # fmt: skip
        yield text.encode("latin-1")


def json_seeds() -> Iterator[bytes]:
    yield b'{"name":"ci","scopes":["detect","mask"],"expires_in":"90d","detect_limit":600,"mask_limit":null}'
    yield b'{"grace":"24h"}'
    yield b'{"grace":86400.0,"grace":1}'
    yield b'{"nam":1}'
    yield b'{"name":"\\ud800","scopes":[]}'
    yield b"[" * 500
    yield b"null"
    yield b"\xff"


def body_seeds() -> Iterator[bytes]:
    """Right and wrong bodies of several clients."""
    image = part(b"b", "image", b"\xff\xd8 a picture \xff\xd9")
    right = part(b"b", "confidence", b"0.6") + image + b"--b--\r\n"
    yield b"multipart/form-data; boundary=b\n" + right
    yield b'multipart/form-data; boundary="b"; charset=utf-8\npreamble\r\n' + right + b"epilogue"
    yield b"multipart/form-data; boundary=b\n" + right.replace(b"\r\n", b"\n")
    yield b"multipart/form-data; boundary=b\n" + right[:-8]
    yield b"multipart/form-data; boundary=b\n" + image * 2 + b"--b--\r\n"
    yield b"multipart/form-data; boundary=b\n--b\r\nContent-Transfer-Encoding: base64\r\n" + image[5:] + b"--b--\r\n"
    yield (
        b"multipart/form-data; boundary=b\n"
        + image.replace(b'"image"', b"image; filename*=utf-8''%e2%82%ac")
        + b"--b--"
    )
    yield b"multipart/form-data; boundary=b\n" + part(b"b", "x", b"1") * 33 + image + b"--b--\r\n"
    yield b"multipart/form-data\n" + right
    yield b"image/jpeg\n\xff\xd8 a picture"
    yield b"application/octet-stream\n" + bytes(1001)
    yield b"application/json\n{}"
    yield b"\n"


def form_seeds() -> Iterator[bytes]:
    yield b"0.5\n\xff\xd8 a picture"
    yield b"\r\n--b\r\n\n--\n\r\n\r\n"
    yield b"a=b\n" * 20 + bytes(range(256))


def params_seeds() -> Iterator[bytes]:
    yield b"confidence=0.5&nms_threshold=.4&max_faces=3&second_side=192"
    yield b"method=solid&strength=31&padding=0.2&format=png&quality=80&color=%23ff0000"
    yield b"method=erase&quality=keep"
    yield b"\nconfidence=5e-1\nmax_faces=05\nquality=5.0"
    yield b"confidence=0.5\nconfidence=0.50"
    for name in ("confidence", "max_faces", "strength", "second_side", "color", "method"):
        for text in (
            "",
            "+1",
            "-0",
            "1e400",
            "nan",
            "0x10",
            "1_0",
            "\u0663".encode().decode("latin-1"),
            "%00",
            " 5 ",
            "9" * 30,
        ):
            yield f"{name}={text}".encode("latin-1")
    yield b"confidance=1&image=2&=&&x"


def words() -> tuple[bytes, ...]:
    """The names and choices a parameter mutation should know."""
    choices = [
        each
        for field in msgspec.structs.fields(MaskParams)
        for each in get_args(getattr(field.type, "__origin__", None))
    ]
    return tuple(
        each.encode() for each in [*MaskParams.__struct_fields__, *(each for each in choices if isinstance(each, str)),
                                   "%23ffffff", "1e-1", "+0.5", "nan", "inf", "=", "&", "\n"]
    )  # fmt: skip
