"""What the first look is not sure of is looked at again, closer: which finds, what is shown, and what both looks say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from gateway.dispatching import doubts
from gateway.dispatching.detection import Question, detect_picture
from gateway.dispatching.dispatch import Detection, Looks
from gateway.dispatching.work_queue import Work
from gateway.looking import looking
from gateway.params import DetectParams, MaskParams
from gateway.pictures.headers.facts import Header
from gateway.pictures.letterbox import Letterbox
from gateway.pictures.picture_facts import Crop, PictureFacts
from shared.choice import CLOSER_SIDE
from shared.deadline import Deadline
from shared.faces import Faces
from shared.settings import Settings
from shared.wire import looks_of

WIDTH, HEIGHT, SIDE = 800, 600, 640


def face(x: float, y: float, size: float, score: float) -> Faces:
    box = np.array([[x, y, x + size, y + size]], np.float32)
    return Faces(box, np.array([score], np.float32), np.zeros((1, 5, 2), np.float32))


NOBODY = Faces.none()
SURE, DOUBTED = face(10, 10, 50, 0.9), face(400, 300, 30, 0.4)


@dataclass
class Workers:
    """What is seen at the first look and closer; both as a worker answers, so no find scores less than was asked."""

    first: Faces
    closer: Faces = NOBODY
    seen: list[Work] = field(default_factory=list)

    def next_id(self) -> int:
        return len(self.seen) + 1

    async def detect(self, work: Work) -> Detection:
        self.seen.append(work)
        faces = self.first if len(self.seen) == 1 else self.closer
        told = faces.taken(np.flatnonzero(faces.scores >= np.float32(work.confidence)))
        best = float(told.scores.max(initial=0.0))
        return Detection(told, 0.0, 1.0, 0.1, 1, "idle", None, Looks(looks_of(work.headers)), best)  # type: ignore[arg-type]


@dataclass
class Photograph:
    facts: PictureFacts
    crops: tuple[Crop, ...]


def whole(width: int = WIDTH, height: int = HEIGHT, side: int = SIDE) -> Crop:
    fit = Letterbox.fit(width, height, side)
    return Crop(np.zeros((fit.rows, fit.cols, 3), np.uint8), side, fit.scale)


def look(workers: Workers, confidence: float = 0.5, max_faces: int = 0) -> Detection:
    picture = Photograph(PictureFacts(WIDTH, HEIGHT, 3, 1, 1), (whole(),))
    question = Question(confidence, 0.4, max_faces, closer=True)
    return asyncio.run(detect_picture(workers, picture, question, Deadline.after(60.0, 0.0)))  # type: ignore[arg-type]


def test_a_doubted_find_that_the_closer_look_sees_is_a_face_with_a_score_of_both() -> None:
    found = look(Workers(Faces.joined([SURE, DOUBTED]), closer=face(401, 301, 30, 0.8)))
    np.testing.assert_allclose(found.faces.boxes, [[10, 10, 60, 60], [400, 300, 430, 330]])
    assert 0.5 < found.faces.scores[1] < 0.9
    assert found.looks == Looks(2, closer=1)


@pytest.mark.parametrize("closer", [NOBODY, face(400, 300, 30, 0.23), face(440, 300, 30, 0.9)])
def test_one_that_it_does_not_see_or_sees_elsewhere_is_none(closer: Faces) -> None:
    found = look(Workers(Faces.joined([SURE, face(400, 300, 30, 0.25)]), closer))
    assert len(found.faces) == 1


def test_what_else_the_closer_look_shows_is_nobodys() -> None:
    """A look at a part takes for faces what the whole shows to be none."""
    found = look(Workers(Faces.joined([SURE, DOUBTED]), closer=face(500, 100, 40, 0.99)))
    np.testing.assert_array_equal(found.faces.boxes, SURE.boxes)


def test_without_doubt_one_look_is_enough_and_its_faces_stay_as_they_are() -> None:
    workers = Workers(Faces.joined([SURE, face(300, 10, 20, 0.5), face(500, 10, 20, 0.1)]))
    found = look(workers)
    assert len(workers.seen) == 1
    np.testing.assert_array_equal(found.faces.scores, np.float32([0.9, 0.5]))
    assert found.looks == Looks(1)


def test_a_sure_face_stays_whatever_a_closer_look_says() -> None:
    found = look(Workers(Faces.joined([SURE, DOUBTED]), closer=face(10, 10, 50, 0.3)))
    np.testing.assert_array_equal(found.faces.packed(), SURE.packed())


def test_a_part_of_a_sure_face_is_no_doubt() -> None:
    workers = Workers(Faces.joined([SURE, face(20, 20, 20, 0.4)]))
    look(workers)
    assert len(workers.seen) == 1


def test_the_likeliest_are_looked_at_and_no_more_than_one_plain_look_costs() -> None:
    many = Faces.joined([face(20 * number, 100, 15, 0.49 - number / 1000) for number in range(2 * doubts.MOST)])
    workers = Workers(many)
    assert look(workers).looks == Looks(1 + doubts.MOST, closer=doubts.MOST)
    shown = [header for work in workers.seen[1:] for header in work.headers]
    assert sum((header.side / SIDE) ** 2 for header in shown) <= 1
    assert max(header.x for header in shown) < 20 * doubts.MOST


def test_max_faces_cuts_when_the_closer_looks_were_seen() -> None:
    workers = Workers(Faces.joined([SURE, face(300, 200, 200, 0.45)]), closer=face(300, 200, 200, 0.9))
    assert workers.first.scores[1] < look(workers, max_faces=1).faces.scores[0]
    np.testing.assert_array_equal(
        look(Workers(workers.first, workers.closer), max_faces=1).faces.boxes[0, :2], [300, 200]
    )


@given(some.floats(0.01, 1), some.floats(0.01, 0.99), some.floats(0.01, 0.99))
def test_at_any_confidence_what_is_never_asked_for_would_not_have_convinced(
    confidence: float, first: float, closer: float
) -> None:
    known = doubts.agreed(face(0, 0, 30, first), face(0, 0, 30, closer), confidence)
    assert (known.scores >= np.float32(confidence)).all()
    if first < confidence and closer < doubts.convincing_from(confidence) - 1e-6:
        assert len(known) == 0
    assert doubts.LEAST <= doubts.doubted_from(confidence) <= max(confidence, doubts.LEAST)


@pytest.mark.parametrize("size", [(800, 600), (600, 800), (1600, 200), (641, 640), (40, 30)])
@given(data=some.data())
def test_a_closer_look_shows_its_find_in_one_size_and_says_where_it_is(
    size: tuple[int, int], data: some.DataObject
) -> None:
    width, height = size
    long = data.draw(some.floats(0.5, max(size) * 1.2))
    x, y = data.draw(some.floats(-long / 2, width - long / 2)), data.draw(some.floats(-long / 2, height - long / 2))
    (crop,) = doubts.closer_crops(face(x, y, long, 0.4), whole(width, height))
    rows, cols, _ = crop.pixels.shape
    assert 1 <= min(rows, cols) <= max(rows, cols) <= crop.side == CLOSER_SIDE
    assert long * crop.scale <= doubts.FACE * 1.001
    right, bottom = crop.x + cols / crop.scale, crop.y + rows / crop.scale
    slack = 2 / whole(width, height).scale + 2 / crop.scale
    assert crop.x <= max(x, 0) + slack
    assert crop.y <= max(y, 0) + slack
    assert right >= min(x + long, width) - slack
    assert bottom >= min(y + long, height) - slack


@pytest.mark.parametrize("size", [(8000, 10), (10, 8000), (300_000, 10)])
@pytest.mark.parametrize("place", [0, 5, 7990])
def test_a_find_in_a_picture_of_any_shape_can_be_shown(size: tuple[int, int], place: int) -> None:
    (crop,) = doubts.closer_crops(face(place, place, 30, 0.4), whole(*size))
    assert 1 <= min(crop.pixels.shape[:2]) <= max(crop.pixels.shape[:2]) <= crop.side


def test_a_closer_look_shows_the_pixels_that_lie_there() -> None:
    seen = whole()
    seen.pixels[240:264, 320:344] = 255  # 30 pixels of the picture
    (crop,) = doubts.closer_crops(face(400, 300, 30, 0.4), seen)
    bright = np.argwhere(crop.pixels[:, :, 0] > 128)
    (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0) + 1
    assert (right - left, bottom - top) == (doubts.FACE, doubts.FACE)
    assert crop.x + left / crop.scale == pytest.approx(400, abs=1)
    assert crop.y + top / crop.scale == pytest.approx(300, abs=1)


def test_mask_looks_closer_and_detect_does_not_unless_asked() -> None:
    settings = Settings()
    assert looking("mask", MaskParams(), settings).question.closer
    assert not looking("mask", MaskParams(closer=False), settings).question.closer
    assert not looking("detect", DetectParams(), settings).question.closer
    assert looking("detect", DetectParams(closer=True), settings).question.closer
    assert looking("detect", DetectParams(thorough=True), settings).question.closer
    assert not looking("mask", MaskParams(), Settings(mask_closer=False)).question.closer


def test_who_names_faces_by_detects_index_masks_what_detect_saw() -> None:
    for picks in ({"keep": (0,)}, {"only": (1,)}):
        params = MaskParams(**picks)  # type: ignore[arg-type]
        assert not looking("mask", params, Settings()).question.closer
        assert looking("mask", params, Settings(detect_closer=True)).question.closer


def test_its_price_is_that_of_one_more_look_at_most() -> None:
    picture = Header("jpeg", 400, 300)
    looks = [looking("detect", DetectParams(closer=closer), Settings()).passes(picture) for closer in (False, True)]
    assert looks == [1, 2]
