"""The oracle: the reference's arithmetic, step by step."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from models.proving.reference import Reference, anchor_centres, blob, head_order, kept, letterbox, most_central
from shared.errors import ConfigurationError
from tests.networks import beacon_faces, beacon_network, beacon_picture
from tests.service import SHARED

FACES = [(100, 90, 40, 0.9), (330, 250, 130, 0.7), (520, 380, 200, 0.6)]


@pytest.fixture(scope="module")
def beacons(tmp_path_factory):
    return Reference(beacon_network(tmp_path_factory.mktemp("reference") / "beacon.onnx"))


def test_faces_come_back_where_they_were_painted(beacons):
    faces = beacons.detect(beacon_picture(FACES), 640)
    expected = beacon_faces(FACES)
    np.testing.assert_allclose(faces.boxes, [box for box, _ in expected], atol=0.01)
    np.testing.assert_allclose(faces.scores, [score for _, score in expected], atol=1e-4)
    assert faces.landmarks.shape == (3, 5, 2)


def test_faces_come_back_in_the_pixels_of_a_picture_that_was_scaled(beacons):
    faces = [(3 * x, 3 * y, 3 * size, score) for x, y, size, score in FACES]
    found = beacons.detect(beacon_picture(faces, 1920, 1440), 640)
    np.testing.assert_allclose(found.boxes, [box for box, _ in beacon_faces(faces, 1920, 1440)], atol=1.6)


def golden_files():
    return sorted((SHARED / "golden").glob("*_conf0.5_nms0.4.json"))


def test_golden_faces_are_found_to_the_digit():
    """Only where the material lies beside the repository; the beacons above hold everywhere."""
    for file in golden_files():
        model = Reference(SHARED / "models" / f"{file.stem.split('_conf')[0]}.onnx", threads=2)
        for name, expected in json.loads(file.read_text())["images"].items():
            path = next(path for path in (SHARED / "photos" / name, SHARED / "photos" / "exif" / name) if path.exists())
            faces = model.detect(cv2.imread(str(path)), 640, 0.5, 0.4)
            assert len(faces) == len(expected["faces"]), f"{file.name} {name}"
            for index, face in enumerate(expected["faces"]):
                np.testing.assert_allclose(faces.boxes[index], face["bbox"], atol=0.01)
                np.testing.assert_allclose(faces.landmarks[index], face["landmarks"], atol=0.01)
                assert faces.scores[index] == pytest.approx(face["confidence"], abs=1e-4)


@pytest.mark.parametrize("size", [(372, 512), (1023, 1408), (1674, 2304), (2255, 3200), (2325, 3200)])
def test_the_fitted_width_is_truncated_from_the_ratio_not_from_the_product(size):
    width, height = size
    canvas, _ = letterbox(np.full((height, width, 3), 255, np.uint8), 640)
    fitted = int(canvas[0].any(axis=1).sum())
    assert fitted == int(640 / (height / width))
    assert fitted != int(640 * width / height)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1), (10, 10), (641, 640)])
def test_no_side_of_the_fitted_picture_is_ever_zero(size):
    canvas, scale = letterbox(np.full((*size, 3), 255, np.uint8), 640)
    assert canvas.shape == (640, 640, 3)
    assert canvas[0, 0].all()
    assert scale > 0


def test_padding_is_black_before_normalisation():
    canvas, _ = letterbox(np.full((100, 200, 3), 200, np.uint8), 640)
    assert (canvas[320:] == 0).all()
    assert blob(canvas)[0, 0, 639, 0] == np.float32(-127.5 / 128)


def test_the_blob_is_what_opencv_makes_to_the_bit():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    expected = cv2.dnn.blobFromImage(pixels, 1 / 128, (96, 64), (127.5, 127.5, 127.5), swapRB=True)
    assert (blob(pixels) == expected).all()


def test_anchors_stand_on_cell_corners_row_by_row_each_twice():
    assert anchor_centres(32, 64, 16).tolist() == [
        [x, y] for y in (0, 16) for x in (0, 16, 32, 48) for _ in range(2)
    ]  # fmt: skip


def rows_of(*boxes):
    return np.array([[*box, score] for box, score in boxes], np.float32)


def test_nms_counts_pixels_with_one_more_on_each_side():
    """The overlap of these is under 0.4 without the + 1 and over it with."""
    rows = rows_of(((0, 0, 9, 9), 0.9), ((3.4, 1, 12.4, 10), 0.8))
    width, height = 9 - 3.4, 9 - 1
    plain = width * height / (2 * 81 - width * height)
    inclusive = (width + 1) * (height + 1) / (200 - (width + 1) * (height + 1))
    assert plain < 0.4 < inclusive
    assert list(kept(rows, 0.4)) == [0]


def test_nms_keeps_an_overlap_equal_to_the_threshold():
    rows = rows_of(((0, 0, 9, 9), 0.9), ((0, 5, 9, 9), 0.8))
    assert list(kept(rows, 0.5)) == [0, 1]
    assert list(kept(rows, 0.499)) == [0]


def test_equal_scores_keep_the_order_of_the_anchors(beacons):
    tied = [(100, 90, 40, 0.8), (324, 90, 40, 0.8), (516, 90, 40, 0.8)]
    found = beacons.detect(beacon_picture(tied), 640)
    assert len(set(found.scores.tolist())) == 1
    assert list(found.boxes[:, 0]) == sorted(found.boxes[:, 0])


def test_max_faces_prefers_the_centre_and_reorders_only_when_it_cuts():
    rows = rows_of(((0, 0, 10, 10), 0.9), ((45, 45, 55, 55), 0.8), ((40, 40, 60, 60), 0.7))
    assert most_central(rows, 3, 100, 100)[:, 4].tolist() == rows[:, 4].tolist()
    assert most_central(rows, 2, 100, 100)[:, 4].tolist() == pytest.approx([0.7, 0.8])
    assert most_central(rows, 0, 100, 100).shape == rows.shape


def test_the_centre_of_an_odd_picture_is_rounded_down():
    """2·distance² to 50 is equal for both; to 50.5 the right one would win."""
    rows = rows_of(((39, 40, 49, 50), 0.9), ((51, 40, 61, 50), 0.8))
    assert most_central(rows, 1, 101, 90)[0, 4] == pytest.approx(0.9)


def test_outputs_are_told_apart_by_shape_alone():
    shapes = [(1, anchors, columns) for anchors in (128, 32, 8) for columns in (10, 1, 4)]
    assert head_order(shapes, 64, 64) == [1, 4, 7, 2, 5, 8, 0, 3, 6]


@pytest.mark.parametrize(
    "shapes",
    [[], [(1, 128, 1)] * 9, [(2, 128, 1), (32, 1), (8, 1), (128, 4), (32, 4), (8, 4)], [(1, 1, 8, 8)] * 6],
)
def test_what_is_no_scrfd_is_refused_in_words(shapes):
    with pytest.raises(ConfigurationError, match="not an SCRFD export"):
        head_order(shapes, 64, 64)


def test_a_file_that_is_no_model_is_refused_in_words(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ConfigurationError, match="cannot load"):
        Reference(path)
