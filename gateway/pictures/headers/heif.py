"""HEIC and AVIF: the facts of the main picture, and whether every tile of it is in the file.

ISO/IEC 23008-12 and 23000-22 (HEIF, MIAF), 14496-15 (HEVC in boxes), AV1-ISOBMFF. Alone knows which kinds of HEIF are
accepted, what turns and crops the picture, and which items belong to it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from gateway.pictures.headers import code_points
from gateway.pictures.headers.coded_pictures import Coded, check_whole, coded_by_av1, coded_by_hevc
from gateway.pictures.headers.facts import PROFILE_BYTES_MAX, Format, Header
from gateway.pictures.headers.heif_boxes import Contents, Item, contents
from gateway.pictures.headers.heif_turns import CleanAperture, crop_of, orientation_of, turning
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
    crop: CleanAperture | None = None

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
        orientation, disputed = orientation_of(found)
        crop = layout.crop or CleanAperture(0, 0, layout.width, layout.height)
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
        layout = replace(layout, colours=bytes(colours or b""), crop=crop_of(main, layout.width, layout.height))
        return replace(layout, alpha=self._alpha(found, layout))

    def _alpha(self, found: Contents, layout: Layout) -> Layout | None:
        """That of the picture as a whole. One of another size is not accepted, as by most readers."""
        for number in found.referring(b"auxl", found.primary):
            item = found.items.get(number)
            if item is not None and bytes(item.first(b"auxC") or b"")[4:].split(b"\0")[0] in _ALPHAS:
                alpha = self._put_together(found, number, item)
                shown = alpha.width, alpha.height, crop_of(item, alpha.width, alpha.height)
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
        if any(_facts(self._coded(found, tile)) != _facts(coded) or turning(tile) for tile in tiles):
            raise BadImage(f"The {self.FORMAT.upper()} file is made of tiles of different kinds; save it again")
        across, down = columns * coded.width, rows * coded.height
        if not (across - coded.width < width <= across and down - coded.height < height <= down):
            raise BadImage(f"The {self.FORMAT.upper()} file contradicts itself about the size of its tiles")
        return Layout(width, height, rows, columns, tiles, coded)

    def _coded(self, found: Contents, item: Item) -> Coded:
        """What a coded picture says of itself, which must be what the file says of it."""
        _whole(item)
        configuration = item.first(b"hvcC" if self._coding == b"hvc1" else b"av1C")
        if configuration is None:
            raise BadImage("The file is corrupt: how its picture is coded is not told")
        if self._coding == b"hvc1":
            coded = coded_by_hevc(bytes(configuration))
        else:
            coded = coded_by_av1(bytes(configuration), found.begin_of(item))
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
