"""HEIC and AVIF: which picture of a file is shown and how, what is refused with words, and that nothing else is decoded."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from gateway.pictures import heif_pixels, heif_rewrite
from gateway.pictures.headers import heif
from gateway.pictures.headers.heif_boxes import contents
from gateway.pictures.picture_facts import refuse_to_mask
from shared.errors import BadImage, TooLarge
from tests.hostile import make_heif as make
from tests.hostile import make_icc, make_jpeg, rasters
from tests.hostile.gallery import Gallery
from tests.unit.pictures.reading import header_of, read

WIDTH, HEIGHT = 128, 96
RGB = rasters.colours(WIDTH, HEIGHT)
STILLS = {"heic": make.parts(make.heic(RGB)), "avif": make.parts(make.avif(RGB))}
WALKS = {"heic": heif.HEIC, "avif": heif.AVIF}
STORED = {name: read(make.still(item))[0] for name, item in STILLS.items()}
both = pytest.mark.parametrize("stored_as", STILLS)


def refused(data: bytes) -> str:
    with pytest.raises(BadImage) as caught:
        read(data)
    return str(caught.value)


def far(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@both
def test_what_was_encoded_is_what_is_read(stored_as: str) -> None:
    header = header_of(make.still(STILLS[stored_as]))
    assert (header.format, header.width, header.height, header.samples, header.bits) == (stored_as, WIDTH, HEIGHT, 3, 8)
    assert far(STORED[stored_as], RGB) < 8


@both
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_it_is_turned_and_then_mirrored_as_the_file_says(stored_as: str, turns: int, axis: int | None) -> None:
    properties = [make.turned(turns)] + ([] if axis is None else [make.mirrored(axis)])
    meant = np.rot90(STORED[stored_as], turns)
    meant = meant if axis is None else meant[::-1] if axis == 0 else meant[:, ::-1]
    data = make.still(STILLS[stored_as].having(*properties))
    assert (read(data)[0] == meant).all()
    assert (shown_by_its_library(stored_as, data) == meant).all()


def shown_by_its_library(stored_as: str, data: bytes) -> np.ndarray:
    """(H, W, 3) RGB as any program shows it that reads it by the same library, but from the file itself."""
    if stored_as == "heic":
        return np.asarray(pillow_heif.open_heif(data))[:, : pillow_heif.open_heif(data).size[0]]
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize(
    ("turns", "told", "orientation", "disputed"),
    [
        (3, 6, 6, False), (3, 1, 6, False), (3, None, 6, False), (None, 1, 1, False),
        (None, 6, 1, True), (3, 8, 6, True), (0, 3, 1, True),
    ],
)  # fmt: skip
@both
def test_exif_turns_nothing_and_mask_refuses_where_it_would(
    stored_as: str, turns: int | None, told: int | None, orientation: int, disputed: bool
) -> None:
    item = STILLS[stored_as] if turns is None else STILLS[stored_as].having(make.turned(turns))
    block = make.Item(b"Exif", b"\0\0\0\6" + make_jpeg.exif(told or 1), hidden=True)
    also = () if told is None else (block,)
    header = header_of(make.still(item, *also, references=((b"cdsc", 2, (1,)),) if also else ()))
    assert (header.orientation, header.disputed) == (orientation, disputed)
    if disputed:
        with pytest.raises(BadImage, match="Which way up"):
            refuse_to_mask(header)


@both
def test_it_is_cropped_before_it_is_turned(stored_as: str) -> None:
    properties = make.cropped(40, 30, (-20, 1), (6, 2)), make.turned(1)
    pixels, _alpha = read(make.still(STILLS[stored_as].having(*properties)))
    assert (pixels == np.rot90(STORED[stored_as][36:66, 24:64])).all()


@pytest.mark.parametrize("size", [(127, 95), (65, 64), (64, 49), (17, 21)])
def test_odd_sizes_are_read_as_they_are(size: tuple[int, int]) -> None:
    drawn = rasters.colours(*size)
    for data in (make.heic(drawn), make.avif(drawn)):
        pixels, _alpha = read(data)
        assert pixels.shape == drawn.shape
        assert far(pixels, drawn) < 20


@pytest.mark.parametrize("chroma", [420, 422, 444])
def test_every_subsampling_and_ten_bits_are_read(chroma: int) -> None:
    named = f"4:{str(chroma)[1]}:{str(chroma)[2]}"
    deep = make.heic(RGB.astype(np.uint16) * 257, chroma=chroma)
    assert header_of(deep).bits == 10
    for data in (make.heic(RGB, chroma=chroma), deep, make.avif(RGB, subsampling=named)):
        assert far(read(data)[0], RGB) < 9


def test_a_picture_without_colours_is_grey() -> None:
    grey = rasters.grey(WIDTH, HEIGHT)
    for data in (make.heic(grey), make.avif(grey)):
        assert header_of(data).samples == 1
        assert far(read(data)[0], np.dstack([grey] * 3)) < 4


def test_a_grid_of_tiles_is_one_picture_and_covers_no_more_than_it_says() -> None:
    tiled = make.heic(RGB, tile_size=64)
    assert header_of(tiled).frames == 1
    assert far(read(tiled)[0], STORED["heic"]) < 6
    quarter = {name: make.parts(encode(RGB[:64, :64])) for name, encode in (("heic", make.heic), ("avif", make.avif))}
    for stored_as, tile in quarter.items():
        whole = make.Item(b"grid", struct.pack(">BBBBHH", 0, 0, 1, 2, 150, 100), (make.size(150, 100),), inside=True)
        data = make.still(whole, *[replace(tile, hidden=True)] * 6, references=((b"dimg", 1, (2, 3, 4, 5, 6, 7)),))
        once = read(make.still(tile))[0]
        seen, meant = read(data)[0], np.tile(once, (2, 3, 1))[:100, :150]
        assert seen.shape == meant.shape
        assert far(seen, meant) < 1, stored_as  # colours are spread over the edges of tiles


def test_transparency_comes_with_it_and_only_in_its_size() -> None:
    sheer = np.dstack([RGB, rasters.grey(WIDTH, HEIGHT)])
    for data in (make.heic(sheer), make.avif(sheer)):
        assert header_of(data).alpha
        _pixels, alpha = read(data)
        assert alpha is not None
        assert far(alpha, sheer[:, :, 3]) < 4
    for stored_as, encode in (("heic", make.heic), ("avif", make.avif)):
        small = make.parts(encode(rasters.grey(64, 48))).having(make.full(b"auxC", make.ALPHA + b"\0"))
        words = refused(make.still(STILLS[stored_as], small, references=((b"auxl", 2, (1,)),)))
        assert "transparency has another size" in words


@both
def test_thumbnails_depth_and_hidden_pictures_are_no_pictures_of_their_own_and_others_are(stored_as: str) -> None:
    item = STILLS[stored_as]
    depth = item.having(make.full(b"auxC", b"urn:mpeg:hevc:2015:auxid:2\0"))
    beside = (item, depth, replace(item, hidden=True), make.Item(b"tmap", b"brighter"))
    references = ((b"thmb", 2, (1,)), (b"auxl", 3, (1,)), (b"dimg", 5, (1, 3)))
    header = header_of(make.still(item, *beside, references=references))
    assert (header.frames, header.alpha) == (1, False)
    header = header_of(make.still(item, item, item))
    assert header.frames == 3
    with pytest.raises(BadImage, match="holds 3 pictures"):
        refuse_to_mask(header)


def track(pictures: int) -> bytes:
    table = make.full(b"stsz", struct.pack(">II", 0, pictures))
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        table = make.box(kind, table)
    return table


@both
def test_of_a_sequence_the_still_is_read_and_mask_refuses(stored_as: str) -> None:
    data = make.still(STILLS[stored_as], behind=track(12))
    assert header_of(data).frames == 12
    assert (read(data)[0] == STORED[stored_as]).all()
    with pytest.raises(BadImage, match="holds 12 pictures"):
        refuse_to_mask(header_of(data))


def test_a_sequence_without_a_still_is_refused_with_words() -> None:
    data = make.box(b"ftyp", b"avis\0\0\0\0avisavif") + track(12) + make.box(b"mdat", b"x")
    assert "moving pictures alone" in refused(data)


@both
def test_a_decoder_sees_the_main_picture_and_nothing_else(stored_as: str) -> None:
    item = STILLS[stored_as].having(make.cropped(64, 64), make.turned(1), make.box(b"free", b"PROPERTY"))
    strangers = [make.Item(kind, b"SECRET" * 9) for kind in (b"Exif", b"mime", b"hvc1", b"grid", b"uri ")]
    references = tuple((b"cdsc", number, (1,)) for number in range(2, 7))
    data = memoryview(make.still(item, *strangers, references=references, behind=make.box(b"mpvd", b"SECRET")))
    plain = heif_rewrite.plain(data, WALKS[stored_as].layout_of(data))
    assert b"SECRET" not in plain
    assert b"PROPERTY" not in plain
    seen = contents(memoryview(plain))
    assert [each.kind for each in seen.items.values()] == [item.kind]
    assert {each.kind for each in seen.items[1].properties} <= {b"ispe", b"hvcC", b"av1C", b"pixi", b"colr"}


def test_other_colours_become_those_of_srgb_and_brighter_ones_are_told(gallery: Gallery) -> None:
    for item in STILLS.values():
        plain = gallery.mask(make.still(item.having(make.numbers(1, 1))), [], format="png")
        assert not plain.as_stored
        for told in (make.numbers(12, 13), make.box(b"colr", b"prof", make_icc.swapped_rgb())):
            changed = gallery.mask(make.still(item.having(told)), [], format="png")
            assert not changed.as_stored
            assert bytes(changed.data) != bytes(plain.data)
        for curve in (16, 18):
            assert gallery.mask(make.still(item.having(make.numbers(9, curve, 9))), [], format="png").as_stored


@both
def test_a_file_cut_anywhere_is_refused_with_words(stored_as: str) -> None:
    data = make.still(STILLS[stored_as])
    for stop in {*range(12, len(data), max(1, len(data) // 60)), len(data) - 1}:
        assert (
            "truncated" in refused(data[:stop]) or "accepted" in refused(data[:stop]) or "whole" in refused(data[:stop])
        )


def test_hevc_that_was_lost_to_zeros_or_ends_early_is_refused() -> None:
    coded = bytearray(STILLS["heic"].data)
    middle = len(coded) // 2
    lost = bytes(coded[:middle]) + bytes(8) + bytes(coded[middle + 8 :])
    assert "damaged" in refused(make.still(replace(STILLS["heic"], data=lost)))
    assert "whole" in refused(make.still(replace(STILLS["heic"], data=bytes(coded[:middle]))))


def test_blocks_that_were_never_decoded_are_noticed_and_green_is_not() -> None:
    holes = np.full((64, 64, 3), 90, np.uint8)
    holes[32:, 32:] = 0
    assert heif_pixels._lacks_blocks(holes)
    assert not heif_pixels._lacks_blocks(holes[:32])
    green = np.zeros((64, 64, 3), np.uint8)
    green[:, :, 1] = 135
    assert heif_pixels._may_lack_blocks(green)
    assert far(read(make.heic(green))[0], green) < 3


def without(item: make.Item, *kinds: bytes) -> make.Item:
    return replace(item, properties=tuple(each for each in item.properties if each[4:8] not in kinds))


STRANGE = {
    "two different sizes": lambda item: make.still(without(item, b"ispe").having(make.size(64, 48))),
    "how large its picture is": lambda item: make.still(without(item, b"ispe")),
    "how its picture is coded": lambda item: make.still(without(item, b"hvcC", b"av1C")),
    "in an order that programs read differently": lambda item: make.still(
        item.having(make.mirrored(0), make.turned(1))
    ),
    "parts of pixels": lambda item: make.still(item.having(make.cropped(64, 64, (1, 3)))),
    "beyond its edge": lambda item: make.still(item.having(make.cropped(256, 64))),
    "fractions of nothing": lambda item: make.still(item.having(make.box(b"clap", bytes(32)))),
    "a property that is not known": lambda item: make.still(item.having(make.box(b"zzzz", b"?"))),
    "of a rare kind": lambda item: make.still(replace(item, kind=b"iovl")),
    "which of its items is the picture": lambda item: make.still(item, primary=7),
    "holds no picture": lambda item: make.still(item, handler=b"vide"),
    "behind its end": lambda item: make.still(replace(item, place=(1 << 30, 99))),
    "about its tiles": lambda item: make.still(
        make.Item(b"grid", struct.pack(">BBBBHH", 0, 0, 200, 200, 64, 48), (make.size(64, 48),)), item
    ),
    "too many items": lambda item: make.still(item, *[make.Item(b"Exif")] * 1000),
    "names a property that it does not have": lambda item: make.still(
        item,
        tables={b"iprp": make.box(b"iprp", make.box(b"ipco"), make.full(b"ipma", struct.pack(">IHBB", 1, 1, 1, 9)))},
    ),
    "tables is not whole": lambda item: make.still(
        item, tables={b"iref": make.full(b"iref", make.box(b"dimg", size=99))}
    ),
    "too many entries": lambda item: make.still(
        item, tables={b"iref": make.full(b"iref", *[make.box(b"thmb", struct.pack(">HH", 2, 999), bytes(1998))] * 9)}
    ),
    "encrypted or lies in another": lambda item: make.still(
        item, tables={b"iloc": make.full(b"iloc", struct.pack(">BBHHHHHII", 0x44, 0, 1, 1, 2, 0, 1, 0, 9), version=1)}
    ),
}


@both
@pytest.mark.parametrize("words", STRANGE)
def test_what_contradicts_itself_or_is_read_differently_is_refused_with_words(stored_as: str, words: str) -> None:
    assert words in refused(STRANGE[words](STILLS[stored_as]))


@both
def test_boxes_in_boxes_are_not_followed_down(stored_as: str) -> None:
    nest = b""
    for _ in range(5000):
        nest = make.box(b"meta", bytes(4), nest)
    data = make.still(STILLS[stored_as], behind=nest, groups=nest)
    assert (read(data)[0] == STORED[stored_as]).all()


@both
def test_a_size_over_the_limit_is_refused_before_anything_is_decoded(stored_as: str) -> None:
    with pytest.raises(TooLarge, match="at most 5,000"):
        header_of(make.still(STILLS[stored_as]), max_pixels=5000)
