"""An overlay covers what is beneath, whatever its alpha, turned as the face is and inside its mask; and annotations."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from gateway.pictures.annotate import KEPT, MASKED, annotate
from gateway.pictures.image_header import read_header
from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions, hide
from gateway.pictures.overlay_file import SIDE_MAX, OverlayFile
from gateway.pictures.overlays import OVERLAYS
from gateway.pictures.picture_work import open_overlay
from gateway.pictures.regions import Region
from shared.errors import BadImage, TooLarge
from shared.faces import Faces
from shared.settings import Settings
from tests.hostile.gallery import Gallery

REGION = Region(40, 30, 140, 150, tilt=20)


def noise(seed: int) -> np.ndarray:
    """Differs with the seed in the region alone."""
    pixels = np.random.default_rng(0).integers(0, 256, (200, 180, 3), np.uint8)
    REGION.of(pixels)[:] = np.random.default_rng(seed).integers(0, 256, (120, 100, 3), np.uint8)
    return pixels


def file_of(picture: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def laid(seed: int, overlay: np.ndarray | None = None, name: str = "smile") -> np.ndarray:
    pixels = noise(seed)
    hide(pixels, [REGION], MaskOptions(method="overlay", overlay=name), overlay)
    return pixels


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_of_the_face_is_left_under_a_drawing_and_nothing_changes_beside_it(name: str) -> None:
    one, other = laid(1, name=name), laid(2, name=name)
    assert (one == other).all()
    outside = np.ones((200, 180), bool)
    REGION.of(outside)[:] = False  # type: ignore[arg-type]
    assert (one[outside] == noise(1)[outside]).all()


@pytest.mark.parametrize("alpha", [0, 1, 127, 255])
def test_nothing_of_the_face_shows_through_a_callers_own_picture(alpha: int) -> None:
    own = np.dstack((np.full((64, 32, 3), 200, np.uint8), np.full((64, 32), alpha, np.uint8)))
    assert (laid(1, own) == laid(2, own)).all()


def test_an_overlay_is_turned_with_the_eyes_and_keeps_its_shape() -> None:
    bar = np.zeros((100, 100, 4), np.uint8)
    bar[47:53] = 255
    upright = Faces(np.float32([[50, 50, 150, 150]]), np.float32([1]), None)
    for degrees in (0, 30, 90, 180):
        way = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        eyes = np.stack([100 - 20 * way, 100 + 20 * way, [100, 100], [100, 100], [100, 100]])[None].astype(np.float32)
        face = Faces(upright.boxes, upright.scores, eyes)
        pixels = np.zeros((200, 200, 3), np.uint8)
        hide(pixels, Marks.all_of(face).regions(0.0, 200, 200), MaskOptions(method="overlay"), bar)
        for far in (-40, 40):
            x, y = np.rint(100 + far * way).astype(int)
            assert pixels[y, x].min() > 150, degrees
        across = np.rint(100 + 40 * np.array([-way[1], way[0]])).astype(int)
        assert pixels[across[1], across[0]].max() < 20


def test_an_own_picture_is_read_upright_with_its_alpha_and_within_limits() -> None:
    clear = Image.new("RGBA", (20, 10), (10, 20, 30, 128))
    overlay = OverlayFile.of(file_of(clear))
    pixels = open_overlay(memoryview(overlay.data), overlay.header, Settings())
    assert pixels.shape == (10, 20, 4)
    assert pixels[0, 0].tolist() == [30, 20, 10, 128]
    opaque = OverlayFile.of(file_of(Image.new("RGB", (20, 10), "red"), "JPEG"))
    assert open_overlay(memoryview(opaque.data), opaque.header, Settings())[:, :, 3].min() == 255


def test_an_own_picture_that_is_none_or_too_large_or_moves_is_refused() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    moving = io.BytesIO()
    frames[0].save(moving, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(BadImage, match="holds 2 pictures"):
        OverlayFile.of(moving.getvalue())
    with pytest.raises(TooLarge, match="at most 1024×1024"):
        OverlayFile.of(file_of(Image.new("L", (SIDE_MAX + 1, 1))))
    with pytest.raises(BadImage):
        OverlayFile.of(b"no picture at all, but long enough")
    broken = file_of(Image.fromarray(noise(1)))[:-40] + bytes(40)
    with pytest.raises(BadImage):
        open_overlay(memoryview(broken), read_header(memoryview(file_of(Image.fromarray(noise(1))))), Settings())


@pytest.mark.parametrize("scale", [0.2, 1, 8])
def test_an_annotated_face_stays_visible_in_a_light_frame_on_a_dark_one(scale: float) -> None:
    side = round(400 * scale)
    boxes = np.float32([[40, 120, 120, 220], [200, 120, 300, 240]]) * np.float32(scale)
    faces = Faces(boxes, np.float32([0.9, 0.5]), None)
    marks = Marks(faces, np.array([True, False]), (Region(0, 0, 9, 9, whole=True),))
    pixels, alpha = np.full((side, side, 3), 128, np.uint8), np.zeros((side, side), np.uint8)
    annotate(pixels, alpha, marks)
    for box, color in zip(np.rint(boxes).astype(int), (MASKED, KEPT), strict=True):
        x1, y1, x2, y2 = box
        assert (pixels[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1] == 128).mean() > 0.9
        drawn = (pixels == color).all(axis=2)
        assert drawn[y1:y2, max(0, x1 - side // 20) : x2 + side // 20].any()
        assert drawn[: y1 - 1].any()  # its words
    assert ((pixels != 128).any(axis=2) <= (alpha > 0)).all()


def test_a_picture_smaller_than_any_letter_can_be_annotated() -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    annotate(pixels, None, Marks.all_of(Faces(np.float32([[-5, -5, 20, 4]]), np.float32([0.5]), None)))
    assert cv2.countNonZero(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)) > 0


def test_the_child_reads_a_callers_picture_and_a_broken_one_costs_its_request_alone(gallery: Gallery) -> None:
    data = file_of(Image.fromarray(noise(1)))
    green = file_of(Image.new("RGBA", (30, 30), (0, 200, 0, 255)))
    face = Marks.all_of(Faces(np.float32([[20, 20, 80, 80]]), np.float32([1]), None))
    options = MaskOptions(method="overlay", padding=0, format="png")
    for file, words in ((green, ""), (green[:-20] + bytes(20), "PNG"), (green, "")):
        picture = gallery.open(data, to_mask=True)
        try:
            answer = gallery.run(picture.mask(face, options, OverlayFile.of(file)))
            pixels = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None
            assert (pixels[22:78, 22:78] == (0, 200, 0)).all()
            assert not words
        except BadImage as error:
            assert words
            assert words in str(error)
        finally:
            picture.close()
    assert gallery.nothing_is_counted()
