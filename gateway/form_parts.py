"""The parts of a form: the file in `image`, parameters and other fields in the rest. Alone knows what a part may be.

What cannot be meant is refused as soon as a part's headers tell it, in words that say what to do instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header

from gateway.multipart import Body, PartHeaders
from gateway.params import MaskParams
from gateway.unknown_names import IMAGE_FIELD, OVERLAY_FIELD, shown
from shared.errors import BadParameter, TooLarge

#: File inputs that were left empty are sent too.
PARTS_MAX = 64
#: Beside the file: parameters, and what frameworks add, of which view states and tokens are the longest.
FIELDS_MAX = 32
FIELD_BYTES_MAX = 8 * 1024
FIELD_NAME_MAX = 256
#: Of a picture that is laid over faces.
OVERLAY_BYTES_MAX = 256 * 1024

#: RFC 7578 4.7: form data is sent as it is; these say so.
_AS_IT_IS = (b"", b"7bit", b"8bit", b"binary", b"identity")
_HAS_FILE_NAME = re.compile(rb";\s*filename\*?\s*=", re.IGNORECASE)
#: RFC 5987's form of a name, by libraries that escape everything.
_EXTENDED_NAME = re.compile(rb"(?:^|[;\s])name\*\s*=\s*\"?[\w-]+'[\w-]*'([^;\"]+)", re.IGNORECASE)
#: Content types of values that a script wrapped like a file.
_VALUES = (b"text/", b"application/json")
#: What is no superset of ASCII.
_WIDE = re.compile(rb"charset\s*=\s*[\"']?(utf-?(?:16|32|7)\w*|ucs-?\d\w*)", re.IGNORECASE)


@dataclass(slots=True)
class Upload:
    """image: the file's bytes, where they lie in the body. fields: the other form fields, in order. overlay: a second
    file's bytes, for mask.
    """

    image: memoryview
    fields: list[tuple[str, str]] = field(default_factory=list)
    overlay: bytes = b""


def too_large(image_bytes_max: int) -> TooLarge:
    return TooLarge(f"Image exceeds {image_bytes_max / 2**20:g} MB; send a smaller file")


class Parts:
    """Collects the parts of one body, which must stay as it is; the image stays where it lies in it."""

    def __init__(self, image_bytes_max: int) -> None:
        self._image_bytes_max = image_bytes_max
        self._body: Body = b""
        self._image: range | None = None
        self._fields: list[tuple[str, str]] = []
        self._overlay = b""
        self._name = ""
        self._value = bytearray()
        self._refused = ""
        self._parts = 0
        self._is_overlay = False

    def upload(self) -> Upload:
        if self._image is None:
            came = ", ".join(shown(name) for name, _ in self._fields[:4])
            words = f"; what came is {came}" if came else ""
            raise BadParameter(f"the field `{IMAGE_FIELD}` is missing{words}; send the file in `{IMAGE_FIELD}`")
        if not self._image:
            raise BadParameter(f"the field `{IMAGE_FIELD}` is empty; send the image file in it")
        image = memoryview(self._body)[self._image.start : self._image.stop]
        return Upload(image, self._fields, self._overlay)

    def begin(self, headers: PartHeaders) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise BadParameter(f"more than {PARTS_MAX} parts; send the image and its parameters only")
        self._name, self._value, self._refused = _name(headers), bytearray(), ""
        self._is_overlay = self._name == OVERLAY_FIELD and _is_file(headers)
        _check_encoding(self._name, headers)
        if self._name != IMAGE_FIELD:
            self._begin_field(headers)
        elif self._image is None:
            self._image = range(0)
        elif self._image:
            self._refused = f"the field `{IMAGE_FIELD}` is there twice; send one picture per request"

    def content(self, body: Body, begin: int, end: int) -> None:
        if begin == end:
            return
        if self._refused:
            raise BadParameter(self._refused)
        if self._name == IMAGE_FIELD:
            self._body, self._image = body, range(self._image.start if self._image else begin, end)
            if len(self._image) > self._image_bytes_max:
                raise too_large(self._image_bytes_max)
            return
        self._value += body[begin:end]
        if self._is_overlay:
            self._check_overlay()
        elif len(self._value) > FIELD_BYTES_MAX:
            told = f"the file belongs in `{IMAGE_FIELD}`"
            if self._name == OVERLAY_FIELD:
                told = "send a picture to lay over faces with a file name, or as image/png"
            raise BadParameter(f"the form field {shown(self._name)} is over {FIELD_BYTES_MAX} bytes; {told}")

    def end(self) -> None:
        if self._is_overlay:
            self._overlay = self._overlay or bytes(self._value)
        elif self._name != IMAGE_FIELD:
            self._fields.append((self._name, self._value.decode("utf-8", "replace")))

    def _check_overlay(self) -> None:
        if self._overlay:
            raise BadParameter(f"the field `{OVERLAY_FIELD}` is there twice; send one picture to lay over faces")
        if len(self._value) > OVERLAY_BYTES_MAX:
            raise BadParameter(
                f"the picture in `{OVERLAY_FIELD}` is over {OVERLAY_BYTES_MAX // 1024} KB; send a smaller one"
            )

    def _begin_field(self, headers: PartHeaders) -> None:
        if len(self._fields) >= FIELDS_MAX:
            raise BadParameter(f"more than {FIELDS_MAX} form fields; send the image and its parameters only")
        if self._name not in MaskParams.__struct_fields__ and _is_file(headers):
            # A file input that was left empty is sent as well, so only content tells.
            self._refused = (
                f"a file came in the field {shown(self._name)}; "
                f"send the picture in the field `{IMAGE_FIELD}`, one per request"
            )
        elif wide := _WIDE.search(headers.get(b"content-type", b"")):
            charset = wide[1].decode("latin-1")
            raise BadParameter(f"the form field {shown(self._name)} is written in {charset}; send it in UTF-8")


def _name(headers: PartHeaders) -> str:
    disposition = headers.get(b"content-disposition", b"")
    name = parse_options_header(disposition)[1].get(b"name", b"")
    if not name and (extended := _EXTENDED_NAME.search(disposition)):
        name = unquote_to_bytes(extended[1])
    if len(name) > 2 and name[:1] == name[-1:] == b"'":
        name = name[1:-1]
    if not name or len(name) > FIELD_NAME_MAX:
        raise BadParameter(f"a part of the multipart body has no usable name; name the file part `{IMAGE_FIELD}`")
    return name.decode("utf-8", "replace")


def _is_file(headers: PartHeaders) -> bool:
    kind = headers.get(b"content-type", b"").lower()
    if kind.startswith(_VALUES):
        return False
    named = _HAS_FILE_NAME.search(headers.get(b"content-disposition", b"")) is not None
    return named or kind.startswith((b"image/", b"application/octet-stream"))


def _check_encoding(name: str, headers: PartHeaders) -> None:
    for header in (b"content-transfer-encoding", b"content-encoding"):
        encoding = headers.get(header, b"").partition(b";")[0].strip(b' \t"').lower()
        if encoding not in _AS_IT_IS:
            told, title = shown(encoding.decode("latin-1"))[1:-1], header.decode().title()
            raise BadParameter(
                f"the part {shown(name)} is encoded ({title}: {told}), which is not accepted; "
                f"decode it and send the bytes as they are, without {title}"
            )
    kind = headers.get(b"content-type", b"").lower()
    if (
        kind.startswith(b"multipart/") and b"boundary" in kind
    ):  # without one it is the file itself, as Android apps send it
        raise BadParameter(f"the part {shown(name)} holds several files; send one picture as its content")
