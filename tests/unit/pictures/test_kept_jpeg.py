"""quality=keep: only the blocks under the masks change, and nothing of what was under them is left."""

from __future__ import annotations

import io
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from gateway.pictures.exif_tags import Metadata
from gateway.pictures.image_header import read_header
from gateway.pictures.libjpeg import StoredJpeg
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.marks import Marks
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import KEEP, MaskOptions
from gateway.pictures.picture_facts import Masked
from gateway.pictures.picture_work import mask_picture, open_picture
from gateway.pictures.regions import Region
from gateway.pictures.stored_frame import StoredFrame
from shared.errors import BadParameter
from shared.faces import Faces
from shared.settings import Settings
from tests.hostile import make_icc, make_jpeg, make_png, rasters
from tests.hostile.gallery import Gallery

WIDTH, HEIGHT = 203, 149
PICTURE = rasters.colours(WIDTH, HEIGHT)
BOX = (61, 45, 102, 90)
FACE = [*map(float, BOX)]
#: OpenCV's names: factors of each component.
SAMPLINGS = {"4:4:4": 0x111111, "4:2:2": 0x211111, "4:2:0": 0x221111, "4:4:0": 0x121111, "4:1:1": 0x411111}


def by_opencv(pixels: np.ndarray, sampling: int, quality: int = 88) -> bytes:
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return cv2.imencode(".jpg", pixels, parameters)[1].tobytes()


def files() -> Iterator[tuple[str, bytes]]:
    for name, sampling in SAMPLINGS.items():
        yield name, by_opencv(PICTURE, sampling)
    for name, options in {
        "progressive": {"progressive": True, "subsampling": 2},
        "progressive 4:4:4": {"progressive": True, "subsampling": 0},
        "optimised": {"optimize": True, "subsampling": 1},
        "restarts": {"restart_marker_blocks": 3},
        "restarts behind rows": {"restart_marker_rows": 1},
        "restarts behind rows 4:4:4": {"restart_marker_rows": 1, "subsampling": 0},
        "coarse": {"quality": 8},
        "fine": {"quality": 100},
    }.items():
        yield name, make_jpeg.jpeg(PICTURE, **options)
    yield "grey", make_jpeg.jpeg(np.ascontiguousarray(PICTURE[:, :, 0]))
    yield "rgb", make_jpeg.jpeg(PICTURE, keep_rgb=True)
    yield "one row of blocks", make_jpeg.jpeg(np.ascontiguousarray(PICTURE[50:60]))


FILES = dict(files())


def masked(data: bytes, box: list[float] | None = None, metadata: Metadata = "none", **options: object) -> Masked:
    header, boxes = read_header(memoryview(data)), np.float32([FACE if box is None else box]).reshape(-1, 4)
    asked = MaskOptions(**{"quality": KEEP, "padding": 0.0, **options})
    opened = open_picture(
        memoryview(data), header, (64,), Settings(), to_mask=True, kept=asked.keeps, metadata=metadata
    )
    return mask_picture(opened, Marks.all_of(Faces(boxes, np.ones(len(boxes), np.float32), None)), asked, Settings())


def stored(data: bytes | memoryview) -> list[np.ndarray]:
    """Of each component (rows, columns, 64) coefficients."""
    file = StoredJpeg(data)
    return [file.plane(index).copy() for index in range(len(file.components))]


def outside(data: bytes, box: tuple[int, int, int, int]) -> list[np.ndarray]:
    """Of each component (rows, columns): the blocks of cells that a stored box does not touch."""
    components = StoredJpeg(data).components
    most = max(each.across for each in components), max(each.down for each in components)
    cell = [8 * max(most[at] // (each.across, each.down)[at] for each in components) for at in (0, 1)]
    kept = []
    for each in components:
        across, down = (8 * most[0] // each.across, 8 * most[1] // each.down)
        columns, rows = np.arange(each.columns) * across, np.arange(each.rows) * down
        left, right = box[0] // cell[0] * cell[0], -(-box[2] // cell[0]) * cell[0]
        top, bottom = box[1] // cell[1] * cell[1], -(-box[3] // cell[1]) * cell[1]
        inside = np.outer((rows >= top) & (rows < bottom), (columns >= left) & (columns < right))
        kept.append(~inside)
    return kept


def seen(data: bytes | memoryview) -> np.ndarray:
    """(H, W, 3) RGB as a viewer shows it."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


@pytest.mark.parametrize(
    ("name", "method"), [*((name, "gaussian") for name in FILES), *(("4:2:0", method) for method in METHODS)]
)
def test_every_block_outside_the_masks_keeps_its_numbers(name: str, method: str) -> None:
    data = FILES[name]
    box = [float(BOX[0]), 2.0, float(BOX[2]), 7.0] if name == "one row of blocks" else FACE
    answer = masked(data, box, method=method).data
    for before, after, kept in zip(stored(data), stored(answer), outside(data, tuple(map(int, box))), strict=True):
        assert kept.any()
        assert not kept.all()
        assert (before[kept] == after[kept]).all()
        assert (before[~kept] != after[~kept]).any()


@pytest.mark.parametrize("name", FILES)
def test_the_tables_of_steps_stay(name: str) -> None:
    before, after = StoredJpeg(FILES[name]), StoredJpeg(masked(FILES[name]).data)
    for ours, theirs in zip(before.components, after.components, strict=True):
        assert (ours.across, ours.down, ours.columns, ours.rows) == (
            theirs.across, theirs.down, theirs.columns, theirs.rows,
        )  # fmt: skip
        assert (ours.steps == theirs.steps).all()


@pytest.mark.parametrize("name", FILES)
def test_without_a_face_all_numbers_stay(name: str) -> None:
    answer = masked(FILES[name], []).data
    assert all((before == after).all() for before, after in zip(stored(FILES[name]), stored(answer), strict=True))


def another_under(box: tuple[int, int, int, int]) -> np.ndarray:
    """The picture with something else in a box."""
    pixels, (left, top, right, bottom) = PICTURE.copy(), box
    pixels[top:bottom, left:right] = rasters.colours(right - left, bottom - top)[::-1, ::-1] // 2
    return pixels


@pytest.mark.parametrize("options", [{"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 5}, {}])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_nothing_of_what_a_mask_hides_is_in_the_answer(subsampling: int, options: dict[str, object]) -> None:
    """Two files that differ only there become the same, to the last byte."""
    one, other = (
        make_jpeg.jpeg(pixels, subsampling=subsampling, **options) for pixels in (PICTURE, another_under(BOX))
    )
    assert one != other
    answers = [bytes(masked(data, method="solid").data) for data in (one, other)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("sampling", SAMPLINGS.values())
def test_nor_where_chroma_blocks_reach_far_beyond(sampling: int) -> None:
    one, other = (by_opencv(pixels, sampling) for pixels in (PICTURE, another_under(BOX)))
    assert bytes(masked(one, method="solid").data) == bytes(masked(other, method="solid").data) != one


def test_an_erased_face_leaves_nothing_either() -> None:
    one, other = (make_jpeg.jpeg(pixels, subsampling=0) for pixels in (PICTURE, another_under(BOX)))
    assert bytes(masked(one, method="erase").data) == bytes(masked(other, method="erase").data)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_answer_is_upright_and_masked_where_the_encoded_one_is(orientation: int) -> None:
    plain = make_jpeg.jpeg(PICTURE, subsampling=0)
    data = make_jpeg.with_segments(plain, (make_jpeg.APP1, make_jpeg.exif(orientation)))
    kept, encoded = (masked(data, method="solid", color="#ff0000", quality=quality).data for quality in (KEEP, 95))
    assert seen(kept).shape == seen(encoded).shape
    left, top, right, bottom = BOX
    assert (np.abs(seen(kept)[top:bottom, left:right].astype(int) - (254, 0, 0)) < 4).all()
    red = (np.abs(seen(kept).astype(int) - (254, 0, 0)) < 8).all(axis=2)
    assert red.sum() < (right - left + 16) * (bottom - top + 16)
    assert cv2.PSNR(seen(kept)[red == 0], seen(encoded)[red == 0]) > 28


def test_only_the_orientation_is_left_of_what_the_file_said() -> None:
    told = [b"GPS position", b"Ducky", b"a comment", b"http://ns.adobe.com/xap/1.0/\0<x/>"]
    segments = [(make_jpeg.APP1, make_jpeg.exif(6) + told[0]), (make_jpeg.APP13, told[1]), (make_jpeg.COM, told[2])]
    data = make_jpeg.with_segments(make_jpeg.jpeg(PICTURE, dpi=(300, 300)), *segments, (make_jpeg.APP1, told[3]))
    answer = bytes(masked(data).data)
    assert not [words for words in told if words in answer]
    with Image.open(io.BytesIO(answer)) as picture:
        assert dict(picture.getexif()) == {0x0112: 6}
        assert not {"comment", "xmp", "icc_profile"} & set(picture.info)
        assert (picture.info["jfif_unit"], picture.info["jfif_density"]) == (0, (1, 1))


def test_what_is_asked_for_of_the_metadata_is_written_beside_the_orientation() -> None:
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Maker", 0x0132: "2026:01:02 03:04:05"})
    plain = make_jpeg.jpeg(PICTURE, exif=exif.tobytes())
    for metadata, expected in (
        ("date", {0x0112: 6, 0x0132: "2026:01:02 03:04:05"}),
        ("gps", {0x0112: 6}),
        ("all", dict(exif)),
    ):
        with Image.open(io.BytesIO(masked(plain, metadata=metadata).data)) as picture:
            assert dict(picture.getexif()) == expected
    date = masked(plain, metadata="date").data
    assert all((old == new).all() for old, new in zip(stored(masked(plain).data), stored(date), strict=True))


def test_colours_that_need_their_profile_keep_it() -> None:
    needed, srgb = make_icc.swapped_rgb(), None
    with Image.open(io.BytesIO(masked(make_jpeg.jpeg(PICTURE, icc_profile=needed)).data)) as picture:
        assert picture.info["icc_profile"] == needed
    with Image.open(io.BytesIO(masked(make_jpeg.jpeg(PICTURE, icc_profile=srgb)).data)) as picture:
        assert "icc_profile" not in picture.info


def test_a_profile_that_cannot_be_used_goes_and_that_is_told() -> None:
    answer = masked(make_jpeg.jpeg(PICTURE, icc_profile=bytes(500)))
    assert answer.as_stored
    assert b"ICC_PROFILE" not in bytes(answer.data)


def test_what_libjpeg_cannot_read_ends_no_process() -> None:
    whole = FILES["4:2:0"]
    for data in (
        b"\xff\xd8\xff\xe0",
        whole[:100],
        b"\xff\xd8" + b"\xff\xc8\0\x08" + bytes(20),
        whole[:20] + whole[200:],
    ):
        with pytest.raises(LibjpegError):
            StoredJpeg(data)


def test_coefficients_that_no_table_has_room_for_are_not_written() -> None:
    for name, place in (("4:4:4", 0), ("optimised", 5)):
        file = StoredJpeg(FILES[name])
        file.plane(0)[0, 0, place] = 20_000
        with pytest.raises(LibjpegError):
            file.write([])


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (make_png.png(PICTURE), {}, "PNG"),
        (FILES["4:2:0"], {"format": "webp"}, "format=webp"),
        (make_jpeg.jpeg(np.dstack([PICTURE, PICTURE[:, :, 0]]), "CMYK"), {}, "CMYK"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_what_to_do(data: bytes, options: dict[str, str], words: str) -> None:
    gallery = Gallery()
    try:
        with pytest.raises(BadParameter, match=f"quality=keep .*{words}.*send quality=1 to 100"):
            gallery.mask(data, [FACE], quality=KEEP, **options)
    finally:
        gallery.close()


def test_a_child_keeps_files_behind_its_closed_door() -> None:
    gallery = Gallery()
    try:
        pids = gallery.pictures.crew.pids()
        for data in FILES.values():
            assert gallery.mask(data, [[61, 2, 102, 9]], quality=KEEP, method="solid").data[:2] == b"\xff\xd8"
        assert gallery.pictures.crew.pids() == pids
        assert gallery.nothing_is_counted()
    finally:
        gallery.close()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_region_is_turned_back_to_where_it_was(orientation: int) -> None:
    frame, region = StoredFrame(WIDTH, HEIGHT, orientation), Region(3, 5, 30, 41)
    assert frame.upright(frame.of(region)) == region
    grown = frame.on_grid(region, 16, 8)
    assert frame.of(grown).left % 16 == frame.of(grown).top % 8 == 0
