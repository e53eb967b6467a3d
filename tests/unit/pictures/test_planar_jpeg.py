"""A JPEG that is masked in its planes: the picture that the usual way gives, and nothing of what was under a mask."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from gateway.pictures import image_decode
from gateway.pictures.exif_tags import Metadata
from gateway.pictures.image_header import read_header
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.libjpeg_planes import read_planes
from gateway.pictures.marks import Marks
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import MaskOptions
from gateway.pictures.picture_work import Decoded, mask_picture, open_picture
from gateway.pictures.regions import Region
from shared.faces import Faces
from shared.settings import Settings
from tests.hostile import make_icc, make_jpeg, make_png, rasters
from tests.hostile.gallery import Gallery
from tests.unit.pictures.test_kept_jpeg import FILES, SAMPLINGS, by_opencv

WIDTH, HEIGHT = 330, 468
PICTURE = cv2.GaussianBlur(rasters.colours(WIDTH, HEIGHT), (0, 0), 3)
BOXES = {
    "none": [],
    "one": [(60, 150, 142, 230)],
    "at the edges": [(0, 0, 10, 8), (WIDTH - 8, 200, WIDTH, 262), (50, HEIGHT - 6, 92, HEIGHT)],
    "over one another": [(80, 100, 190, 220), (120, 150, 260, 280)],
    "all": [(0, 0, WIDTH, HEIGHT)],
}
PLANAR = ("4:4:4", "4:2:2", "4:2:0")
IN_PLANES = ("gaussian", "solid", "elliptical", "erase")
SIDES = (160, 64)
NOBODY = Faces.none()
ELLIPSES = MaskOptions(method="elliptical", padding=0.0)


@pytest.fixture(autouse=True)
def _pictures_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_decode, "_PLANES_PIXELS_MIN", 1)


def opened(data: bytes, *, planar: bool = True, metadata: Metadata = "none", reach: int = 0) -> Decoded:
    view = memoryview(data)
    asked = {"planar": planar, "metadata": metadata, "reach": reach}
    return open_picture(view, read_header(view), SIDES, Settings(), to_mask=True, **asked)


def masked(data: bytes, boxes: Sequence[tuple[int, ...]], *, planar: bool = True, **options: object) -> bytes:
    faces = Faces(np.float32(boxes).reshape(-1, 4), np.ones(len(boxes), np.float32), None)
    asked = MaskOptions(**{"padding": 0.0, **options})
    return bytes(mask_picture(opened(data, planar=planar), Marks.all_of(faces), asked, Settings()).data)


def pixels_of(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def turned(data: bytes, orientation: int) -> bytes:
    return make_jpeg.with_segments(data, (make_jpeg.APP1, make_jpeg.exif(orientation)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sampling", PLANAR)
def test_what_is_seen_is_what_the_decoder_would_show(sampling, orientation):
    data = turned(by_opencv(PICTURE, SAMPLINGS[sampling], 95), orientation)
    usual, planar = opened(data, planar=False), opened(data)
    assert planar.planes is not None
    assert [crop.pixels.shape for crop in planar.crops] == [crop.pixels.shape for crop in usual.crops]
    for crop, expected in zip(planar.crops, usual.crops, strict=True):
        assert (crop.side, crop.scale, crop.x, crop.y) == (expected.side, expected.scale, expected.x, expected.y)
        assert cv2.PSNR(crop.pixels, expected.pixels) > 43


@pytest.mark.parametrize("name", PLANAR)
def test_brightness_is_the_decoders_to_the_last_sample(name):
    planes = read_planes(FILES[name])
    grey = cv2.imdecode(np.frombuffer(FILES[name], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert (planes.of_picture()[0] == grey).all()


@pytest.mark.parametrize("boxes", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("sampling", PLANAR)
def test_the_answer_shows_what_the_usual_way_shows(sampling, boxes):
    data = by_opencv(PICTURE, SAMPLINGS[sampling], 95)
    usual, planar = (pixels_of(masked(data, boxes, planar=planar)) for planar in (False, True))
    assert usual.shape == planar.shape
    assert cv2.PSNR(usual, planar) > 38


@pytest.mark.parametrize("strength", [48, 199, 999])
@pytest.mark.parametrize("method", IN_PLANES)
def test_so_it_does_by_every_method(method, strength):
    data = by_opencv(PICTURE, SAMPLINGS["4:2:0"], 95)
    for boxes in (BOXES["one"], BOXES["at the edges"], BOXES["over one another"]):
        asked = {"method": method, "strength": strength, "color": "#20c060"}
        usual, planar = (pixels_of(masked(data, boxes, planar=planar, **asked)) for planar in (False, True))
        assert cv2.PSNR(usual, planar) > 36
        for left, top, right, bottom in boxes:
            within = slice(top + 2, bottom - 2), slice(left + 2, right - 2)
            assert cv2.PSNR(usual[within], planar[within]) > 33


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_need_colours_and_weak_blurs_are_not_for_planes(method):
    assert MaskOptions(method=method).writes_planes == (method in IN_PLANES)
    assert MaskOptions(method=method, strength=20).writes_planes == (method in ("solid", "erase"))


def test_what_somebody_drew_is_hidden_up_to_its_corners():
    data, drawn = by_opencv(PICTURE, SAMPLINGS["4:2:0"], 95), Region(60, 150, 142, 230, whole=True)
    marks = Marks(NOBODY, np.zeros(0, np.bool_), (drawn,))
    usual, planar = (
        pixels_of(bytes(mask_picture(opened(data, planar=planar), marks, ELLIPSES, Settings()).data))
        for planar in (False, True)
    )
    assert cv2.PSNR(usual, planar) > 36
    assert cv2.PSNR(planar[150:160, 60:70], PICTURE[150:160, 60:70]) < 36


@pytest.mark.parametrize("method", IN_PLANES)
def test_masks_grow_to_pairs_of_pixels(method):
    data = by_opencv(PICTURE, SAMPLINGS["4:2:0"])
    assert masked(data, [(61, 151, 141, 229)], method=method) == masked(data, BOXES["one"], method=method)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_files_are_masked_where_they_are_seen(orientation):
    data = turned(by_opencv(PICTURE, SAMPLINGS["4:2:2"], 95), orientation)
    usual, planar = (pixels_of(masked(data, BOXES["one"], planar=planar, method="solid")) for planar in (False, True))
    assert usual.shape == planar.shape
    assert cv2.PSNR(usual, planar) > 30
    assert planar[155:225, 65:138].max() < 12


def test_nothing_beside_the_masks_changes_but_by_encoding():
    """At the best quality hardly that: what lies between the files' blocks is kept as samples, not as colours."""
    data, box = by_opencv(PICTURE, SAMPLINGS["4:2:0"]), BOXES["one"]
    before, after = (read_planes(each).of_picture() for each in (data, masked(data, box, method="erase", quality=100)))
    left, top, right, bottom = box[0]
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        cell, kept = (1, 2)[index > 0], np.ones(old.shape, bool)
        kept[top // cell - 8 : bottom // cell + 9, left // cell - 8 : right // cell + 9] = False
        assert np.abs(old.astype(int) - new)[kept].max() <= 1


def cropped(data: bytes) -> bytes:
    """A file of whole MCUs that says it is smaller: what its blocks hold beyond that is seen by nobody."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + HEIGHT.to_bytes(2, "big") + WIDTH.to_bytes(2, "big") + data[at + 4 :]


@pytest.mark.parametrize("method", ["solid", "erase"])
@pytest.mark.parametrize("box", [(64, 160, 144, 240), (256, 400, WIDTH, HEIGHT)], ids=["inside", "at the corner"])
def test_two_files_that_differ_under_the_mask_alone_give_the_same_answer(box, method):
    """Also where blocks go on beyond the picture, and hold what nobody sees."""
    left, top, right, bottom = box
    files, answers = set(), set()
    for seed in range(3):
        whole = cv2.copyMakeBorder(PICTURE, 0, -HEIGHT % 16, 0, -WIDTH % 16, cv2.BORDER_REPLICATE)
        under = whole[top : bottom + -bottom % 16, left : right + -right % 16]
        under[:] = np.random.default_rng(seed).integers(0, 256, under.shape)
        data = cropped(by_opencv(whole, SAMPLINGS["4:2:0"]))
        files.add(data)
        answers.add(masked(data, [box], method=method))
    assert len(files) == 3
    assert len(answers) == 1


@pytest.mark.parametrize("width", [1, 2, 7, 16, 17, 33])
@pytest.mark.parametrize("height", [1, 8, 15, 31])
@pytest.mark.parametrize("sampling", PLANAR)
def test_pictures_of_any_size(sampling, width, height):
    data = by_opencv(np.ascontiguousarray(PICTURE[:height, :width]), SAMPLINGS[sampling], 95)
    for method in IN_PLANES:
        boxes = [(0, 0, width, height), (width // 4 * 2, height // 4 * 2, width, height)]
        usual, planar = (pixels_of(masked(data, boxes, planar=each, method=method)) for each in (False, True))
        assert usual.shape == planar.shape
        assert cv2.PSNR(usual, planar) > 30


@pytest.mark.parametrize("name", FILES)
def test_only_files_of_one_scan_and_three_usual_planes_are_held_so(name):
    data = FILES[name]
    planar = {*PLANAR, "optimised", "restarts", "coarse", "fine", "one row of blocks"}
    planar |= {name for name in FILES if name.startswith("restarts")}
    assert (opened(data).planes is not None) == (name in planar)
    if name not in planar:
        assert masked(data, BOXES["one"]) == masked(data, BOXES["one"], planar=False)


def others() -> dict[str, bytes]:
    """Whose colours need work, or lie otherwise; that are damaged; that are no JPEG."""
    data = by_opencv(PICTURE, SAMPLINGS["4:2:0"])
    odd = by_opencv(np.ascontiguousarray(PICTURE[:-1]), SAMPLINGS["4:2:0"])
    return {
        "png": make_png.png(PICTURE),
        "inks": make_jpeg.jpeg(np.dstack([PICTURE, PICTURE[:, :, 0]]), "CMYK"),
        "a profile": make_jpeg.with_segments(data, (make_jpeg.APP2, b"ICC_PROFILE\0\1\1" + make_icc.swapped_rgb())),
        "turned, and colours at odd places": turned(odd, 3),
        "something before its end": data[:-2] + bytes(40) + data[-2:],
    }


OTHERS = others()


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_go_the_usual_way(name):
    data = OTHERS[name]
    assert opened(data).planes is None
    assert masked(data, BOXES["one"]) == masked(data, BOXES["one"], planar=False)


def test_what_libjpeg_has_something_to_say_of_is_judged_by_the_decoder(capfd):
    data = by_opencv(PICTURE, SAMPLINGS["4:2:0"])
    middle = len(data) // 2
    with pytest.raises(LibjpegError):
        read_planes(data[:middle] + b"\xff\xd4" + data[middle:])
    assert "Corrupt JPEG" in capfd.readouterr().err


def test_it_is_seen_smaller_where_faces_are_named_by_detects_order():
    data = by_opencv(PICTURE, SAMPLINGS["4:2:0"])
    view = memoryview(data)
    asked = open_picture(view, read_header(view), SIDES, Settings(), to_mask=False, reach=160)
    planar = opened(data, reach=160)
    assert planar.planes is not None
    for crop, expected in zip(planar.crops, asked.crops, strict=True):
        assert (crop.pixels == expected.pixels).all()


def test_it_takes_half_the_memory_while_it_waits():
    data = by_opencv(PICTURE, SAMPLINGS["4:4:4"])
    assert opened(data).held_bytes < 0.6 * opened(data, planar=False).held_bytes


def test_metadata_goes_into_the_answer_upright():
    told = Image.Exif()
    told[ExifTags.Base.Orientation], told[ExifTags.Base.DateTime] = 6, "2026:11:28 10:00:00"
    data = make_jpeg.with_segments(by_opencv(PICTURE, SAMPLINGS["4:2:0"]), (make_jpeg.APP1, told.tobytes()))
    exif = opened(data, metadata="all").exif
    assert b"2026:11:28" in exif
    assert exif == opened(data, planar=False, metadata="all").exif
    answer = bytes(mask_picture(opened(data, metadata="all"), Marks.all_of(NOBODY), MaskOptions(), Settings()).data)
    header = read_header(memoryview(answer))
    assert (header.orientation, header.width, header.height) == (1, HEIGHT, WIDTH)
    assert b"Exif\0\0" + exif in answer


def test_more_bytes_than_there_was_room_for(monkeypatch):
    noise = np.random.default_rng(3).integers(0, 256, (600, 700, 3), np.uint8)
    data = by_opencv(noise, SAMPLINGS["4:4:4"], 100)
    monkeypatch.setattr("gateway.pictures.libjpeg_planes._HEAD_BYTES", -600 * 700 + 64)
    answer = masked(data, [], quality=100)
    assert len(answer) > 600 * 700 // 2
    assert cv2.PSNR(pixels_of(answer), pixels_of(masked(data, [], planar=False, quality=100))) > 25


def test_a_child_answers_as_it_would_outside_its_door():
    """Of pictures as large as it takes to be held in planes."""
    large = cv2.resize(PICTURE, (1500, 1010))
    gallery = Gallery()
    try:
        for sampling in (*PLANAR, *PLANAR):
            data = by_opencv(large, SAMPLINGS[sampling])
            for method in ("gaussian", "elliptical", "erase"):
                asked = {"method": method, "padding": 0.0, "strength": 90}
                answer = gallery.mask(data, [[300, 200, 420, 390]], planar=True, **asked)
                assert bytes(answer.data) == masked(data, [(300, 200, 420, 390)], **asked)
        blocks = gallery.mask(data, [[300, 200, 420, 390]], planar=True, method="pixelate", padding=0.0)
        assert bytes(blocks.data) == masked(data, [(300, 200, 420, 390)], planar=False, method="pixelate")
        png = gallery.mask(data, [[300, 200, 420, 390]], planar=True, format="png")
        assert bytes(png.data).startswith(b"\x89PNG"), "opened again, as pixels"
    finally:
        gallery.close()
