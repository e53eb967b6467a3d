"""HEIC and AVIF: the facts of the main picture, and whether every tile of it is in the file.

ISO/IEC 23008-12 and 23000-22 (HEIF, MIAF), 14496-15 (HEVC in boxes), AV1-ISOBMFF. Alone knows which kinds of HEIF are
accepted, what turns and crops the picture, and which items belong to it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from fractions import Fraction

from gateway.pictures.headers import code_points, exif
from gateway.pictures.headers.coded_pictures import Coded, check_whole, coded_by_av1, coded_by_hevc
from gateway.pictures.headers.facts import PROFILE_BYTES_MAX, Format, Header
from gateway.pictures.headers.heif_boxes import Contents, Item, contents
from shared.errors import BadImage
from shared.settings import DecodingSettings

#: What a file's first bytes call it, beside what it holds.
_HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AV1_BRANDS = frozenset({b"avif", b"avis"})
_ALPHAS = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
#: Kinds of items that are pictures of their own where nothing else refers to them; not `tmap`, the main one brighter.
_PICTURES = frozenset(
    {b"hvc1", b"av01", b"grid", b"iden", b"iovl", b"jpeg", b"avc1", b"j2k1", b"vvc1", b"unci", b"hev1"}
)
#: In this order, each at most once, all programs do the same.
_TURNING = (b"clap", b"irot", b"imir")
#: Properties that are known, or change no pixel of the main picture.
_KNOWN = frozenset(
    {*_TURNING, b"ispe", b"hvcC", b"av1C", b"colr", b"pixi", b"auxC", b"pasp", b"rloc", b"clli", b"mdcv", b"amve"}
)
#: EXIF's number by quarter turns to the left and then the axis of mirroring: None, 0 top to bottom, 1 left to right.
_ORIENTATIONS = {
    None: (1, 8, 3, 6),
    0: (4, 5, 2, 7),
    1: (2, 7, 4, 5),
}  # fmt: skip
_EXIF_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Crop:
    """What of the coded picture is shown, in pixels, before it is turned."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a picture is put together. width, height: coded, in pixels. rows, columns: of tiles; 1 × 1 is none.

    tiles: their items, row after row; their facts agree. colours: primaries, curve, matrix and range, or empty.
    """

    width: int
    height: int
    rows: int
    columns: int
    tiles: tuple[Item, ...]
    coded: Coded
    colours: bytes = b""
    alpha: Layout | None = None
    crop: Crop | None = None

    @property
    def parts(self) -> tuple[Layout, ...]:
        """The picture and its alpha."""
        return (self,) if self.alpha is None else (self, self.alpha)

    @property
    def planes_bytes(self) -> int:
        """Bytes of the planes of all tiles, and of the alpha's."""
        return sum(part.coded.planes_bytes * len(part.tiles) for part in self.parts)


def brands(start: bytes) -> set[bytes]:
    """What a file calls itself in its first bytes."""
    if start[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(start[:4], "big"), len(start))
    return {start[8:12], *(start[place : place + 4] for place in range(16, end - 3, 4))}


class Walk:
    """The walker of one of the two: alike but for how their pictures are coded, `hvc1` or `av01`."""

    def __init__(self, stored_as: Format, coding: bytes) -> None:
        self.FORMAT = stored_as
        self._coding = coding

    def read(self, data: memoryview) -> Header:
        """Facts of the main picture; of the coded pictures themselves only the first bytes are looked at."""
        found = contents(data)
        layout = self._layout(found)
        orientation, disputed = _orientation(found)
        crop = layout.crop or Crop(0, 0, layout.width, layout.height)
        transparent = layout.alpha is not None
        return Header(
            self.FORMAT,
            crop.width,
            crop.height,
            orientation,
            _frames(found),
            samples=layout.coded.samples + transparent,
            bits=max(part.coded.bits for part in layout.parts),
            alpha=transparent,
            icc=_profile_bytes(found),
            disputed=disputed,
            decoder="samples",
            raster_bytes=layout.planes_bytes,
        )

    def layout_of(self, data: memoryview) -> Layout:
        """How the main picture is put together. Raises BadImage."""
        return self._layout(contents(data))

    def check_complete(self, data: memoryview, header: Header, settings: DecodingSettings) -> None:
        """Raises BadImage when a tile of the picture or of its alpha is not whole."""
        del settings
        assert header.format == self.FORMAT
        found = contents(data)
        for part in self._layout(found).parts:
            for tile in part.tiles:
                check_whole(part.coded, found.bytes_of(tile))

    def profile(self, data: memoryview) -> bytes | None:
        """The stored colour profile, or one made of the code points where they are not nearly sRGB's."""
        main = _main(contents(data))
        stored, told = _colours(main)
        if stored is not None:
            return bytes(stored)
        return code_points.profile_of(*struct.unpack_from(">HH", told)) if told else None

    def _layout(self, found: Contents) -> Layout:
        main = _main(found)
        layout = self._put_together(found, found.primary, main)
        _stored, colours = _colours(main)
        if not colours and layout.rows * layout.columns > 1:
            _stored, colours = _colours(layout.tiles[0])
        layout = replace(layout, colours=bytes(colours or b""), crop=_crop(main, layout))
        return replace(layout, alpha=self._alpha(found, layout))

    def _alpha(self, found: Contents, layout: Layout) -> Layout | None:
        """That of the picture as a whole. One of another size is not accepted, as by most readers."""
        for number in found.referring(b"auxl", found.primary):
            item = found.items.get(number)
            if item is not None and bytes(item.first(b"auxC") or b"")[4:].split(b"\0")[0] in _ALPHAS:
                alpha = self._put_together(found, number, item)
                shown = alpha.width, alpha.height, _crop(item, alpha)
                if shown != (layout.width, layout.height, layout.crop):
                    raise BadImage(f"The {self.FORMAT.upper()} file's transparency has another size than its picture")
                return alpha
        return None

    def _put_together(self, found: Contents, number: int, item: Item) -> Layout:
        """One coded picture, or a grid of such."""
        width, height = _size(item)
        if item.kind == self._coding:
            coded = self._coded(found, item)
            return Layout(width, height, 1, 1, (item,), coded)
        if item.kind != b"grid":
            raise BadImage(self._not_accepted(item))
        rows, columns, *size = _grid(found.bytes_of(_whole(item)))
        tiles = tuple(found.items.get(each, Item(b"none")) for each in found.referred(b"dimg", number))
        if size != [width, height] or len(tiles) != rows * columns:
            raise BadImage(f"The {self.FORMAT.upper()} file contradicts itself about its tiles")
        for tile in tiles:
            if tile.kind != self._coding:
                raise BadImage(self._not_accepted(tile))
        coded = self._coded(found, tiles[0])
        if any(_facts(self._coded(found, tile)) != _facts(coded) or _turning(tile) for tile in tiles):
            raise BadImage(f"The {self.FORMAT.upper()} file is made of tiles of different kinds; save it again")
        across, down = columns * coded.width, rows * coded.height
        if not (across - coded.width < width <= across and down - coded.height < height <= down):
            raise BadImage(f"The {self.FORMAT.upper()} file contradicts itself about the size of its tiles")
        return Layout(width, height, rows, columns, tiles, coded)

    def _coded(self, found: Contents, item: Item) -> Coded:
        """What a coded picture says of itself, which must be what the file says of it."""
        configuration = item.first(b"hvcC" if self._coding == b"hvc1" else b"av1C")
        if configuration is None:
            raise BadImage("The file is corrupt: how its picture is coded is not told")
        _whole(item)
        if self._coding == b"hvc1":
            coded = coded_by_hevc(bytes(configuration))
        else:
            coded = coded_by_av1(bytes(configuration), found.bytes_of(item))
        if (coded.width, coded.height) != _size(item):
            raise BadImage(f"The {self.FORMAT.upper()} file gives two different sizes")
        return coded

    def _not_accepted(self, item: Item) -> str:
        kind = item.kind.decode("latin-1") if item.kind.isalnum() else "an unknown kind"
        return f"{self.FORMAT.upper()} of a rare kind (its picture is {kind}) is not accepted; save it as JPEG or PNG"


def _main(found: Contents) -> Item:
    main = found.items.get(found.primary)
    if main is None:
        raise BadImage("The file does not say which of its items is the picture")
    return main


def _facts(coded: Coded) -> tuple[object, ...]:
    return coded.width, coded.height, coded.samples, coded.bits, coded.shrunk, coded.length_bytes


def _whole(item: Item) -> Item:
    if item.elsewhere:
        raise BadImage("The picture is encrypted or lies in another file; send it as one plain file")
    if item.cut or not item.extents:
        raise BadImage("The file is truncated: part of its picture lies behind its end")
    return item


def _size(item: Item) -> tuple[int, int]:
    told = item.first(b"ispe")
    if told is None:
        raise BadImage("The file does not say how large its picture is")
    width, height = struct.unpack_from(">II", told, 4)
    if not width or not height:
        raise BadImage("The file is corrupt: its picture has no size")
    return width, height


def _grid(payload: bytes) -> tuple[int, int, int, int]:
    """Rows, columns, width and height (23008-12, 6.6.2.3)."""
    _version, flags, rows, columns = struct.unpack_from("4B", payload)
    width, height = struct.unpack_from(">II" if flags & 1 else ">HH", payload, 4)
    return rows + 1, columns + 1, width, height


def _turning(item: Item) -> list[tuple[bytes, memoryview]]:
    """What turns or crops an item, in its order. Raises BadImage where programs would do different things."""
    told = [(each.kind, each.payload) for each in item.properties if each.kind in _TURNING]
    kinds = [kind for kind, _payload in told]
    if kinds != [kind for kind in _TURNING if kind in kinds]:
        raise BadImage("The picture is cropped and turned in an order that programs read differently; save it again")
    unknown = next((each.kind for each in item.properties if each.essential and each.kind not in _KNOWN), None)
    if unknown is not None:
        raise BadImage("The file needs a property that is not known here; save it as a plain still picture")
    return told


def _crop(item: Item, layout: Layout) -> Crop | None:
    """From the middle of what is shown, in fractions (14496-12, 12.1.4)."""
    told = dict(_turning(item)).get(b"clap")
    if told is None:
        return None
    numbers = struct.unpack_from(">IIIIiIiI", told)
    if not all(numbers[1::2]):
        raise BadImage("The file is corrupt: its picture is cropped by fractions of nothing")
    width, height, right, down = (Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
    left, top = (layout.width - width) / 2 + right, (layout.height - height) / 2 + down
    whole = all(each.denominator == 1 for each in (width, height, left, top))
    inside = min(left, top) >= 0 < min(width, height) and left + width <= layout.width and top + height <= layout.height
    if not whole or not inside:
        raise BadImage("The picture is cropped to parts of pixels or beyond its edge; save it again")
    return Crop(int(left), int(top), int(width), int(height))


def _orientation(found: Contents) -> exif.Orientation:
    """What turns the picture is authoritative; disputed where EXIF or XMP says something else that would turn it."""
    told = dict(_turning(_main(found)))
    turns = told[b"irot"][0] & 3 if b"irot" in told else 0
    axis = told[b"imir"][0] & 1 if b"imir" in told else None
    value = _ORIENTATIONS[axis][turns]
    block, xmp = _metadata(found)
    claimed = exif.settled([exif.claim(block)] if block else [], xmp)
    return exif.Orientation(value, disputed=claimed.value not in (1, value))


def _metadata(found: Contents) -> tuple[bytes, bytes]:
    """The EXIF block and the XMP packet that describe the main picture; empty where there is none."""
    block = packet = b""
    for number in found.referring(b"cdsc", found.primary):
        item = found.items.get(number)
        if item is None or item.cut or item.elsewhere:
            continue
        if item.kind == b"Exif" and not block:
            data = found.bytes_of(item)[:_EXIF_BYTES_MAX]
            block = data[4 + int.from_bytes(data[:4], "big") :]
        elif item.kind == b"mime" and item.content == b"application/rdf+xml" and not packet:
            packet = found.bytes_of(item)[:_EXIF_BYTES_MAX]
    return block, packet


def _frames(found: Contents) -> int:
    """Pictures of their own that a viewer could show, and those of a video track."""
    parts = {each for kind, _source, to in found.references if kind == b"dimg" for each in to}
    parts |= {source for kind, source, _to in found.references if kind in (b"thmb", b"auxl")}
    shown = [
        number
        for number, item in found.items.items()
        if item.kind in _PICTURES and not item.hidden and number not in parts and number != found.primary
    ]
    return 1 + len(shown) + max(0, found.pictures_in_tracks - 1)


def _colours(item: Item) -> tuple[memoryview | None, memoryview | None]:
    """The stored profile, and what is told in numbers: primaries, curve, matrix and range."""
    told = [each.payload for each in item.properties if each.kind == b"colr"]
    stored = next((each[4:] for each in told if bytes(each[:4]) in (b"prof", b"rICC")), None)
    return stored, next((each[4:] for each in told if bytes(each[:4]) == b"nclx" and len(each) >= 11), None)


def _profile_bytes(found: Contents) -> int:
    stored, told = _colours(_main(found))
    return max(1, min(len(stored), PROFILE_BYTES_MAX + 1)) if stored is not None else int(told is not None)


HEIC, AVIF = Walk("heic", b"hvc1"), Walk("avif", b"av01")


def is_heic(start: bytes) -> bool:
    """Whether a file with these first bytes is one, by what it calls itself."""
    return not is_avif(start) and bool(brands(start) & _HEVC_BRANDS)


def is_avif(start: bytes) -> bool:
    """Whether a file with these first bytes is one, by what it calls itself."""
    return bool(brands(start) & _AV1_BRANDS)
