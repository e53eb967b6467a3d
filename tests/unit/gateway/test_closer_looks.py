"""What the first look is not sure of is looked at again, closer: which finds, what is shown, and what both looks say."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from gateway.dispatching.detection import Question, detect_picture
from gateway.dispatching.dispatch import Detection, Looks
from gateway.dispatching.sheets import Sheets, sheets_of
from gateway.dispatching.work_queue import Work
from gateway.pictures.letterbox import Letterbox
from gateway.pictures.picture_facts import Crop, PictureFacts
from shared import doubts
from shared.cells import CLOSER_SHEETS, FACE, OWN_SHEETS, SHEETS, SheetForm
from shared.deadline import Deadline
from shared.doubts import COVERING, COVERING_FAINT, TELLING, Rule
from shared.faces import Faces
from shared.wire import CropArray, looks_of

WIDTH, HEIGHT, SIDE = 800, 600, 640
CELL, SHEET_SIDE = OWN_SHEETS
FORMS = [OWN_SHEETS, CLOSER_SHEETS]


def face(x: float, y: float, size: float, score: float) -> Faces:
    box = np.array([[x, y, x + size, y + size]], np.float32)
    return Faces(box, np.array([score], np.float32), np.zeros((1, 5, 2), np.float32))


NOBODY = Faces.none()
SURE, DOUBTED = face(10, 10, 50, 0.95), face(400, 300, 30, 0.4)
#: Where the first doubted find lies in its sheet, alone or with others.
SHOWN = 24


def black(shape: tuple[int, int, int]) -> CropArray:
    return np.zeros(shape, np.uint8)


def crowd(many: int) -> Faces:
    return Faces.joined([face(30 * number, 100, 15, 0.49 - number / 1000) for number in range(many)])


@dataclass
class Workers:
    """What is seen at the first look and in the sheet; both as a worker answers: no find scores less than was asked."""

    first: Faces
    closer: Faces = NOBODY
    seen: list[Work] = field(default_factory=list)

    def next_id(self) -> int:
        return len(self.seen) + 1

    def blank(self, shape: tuple[int, int, int]) -> CropArray:
        return black(shape)

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


def look(workers: Workers, confidence: float = 0.5, max_faces: int = 0, rule: Rule = COVERING) -> Detection:
    picture = Photograph(PictureFacts(WIDTH, HEIGHT, 3, 1, 1), (whole(),))
    question = Question(confidence, 0.4, max_faces, closer=rule)
    return asyncio.run(detect_picture(workers, picture, question, Deadline.after(60.0, 0.0)))  # type: ignore[arg-type]


def test_a_doubted_find_that_the_closer_look_sees_is_a_face_with_a_score_of_both() -> None:
    found = look(Workers(Faces.joined([SURE, DOUBTED]), closer=face(SHOWN + 2, SHOWN + 1, 48, 0.8)))
    np.testing.assert_allclose(found.faces.boxes, [[10, 10, 60, 60], [400, 300, 430, 330]])
    assert 0.5 < found.faces.scores[1] < 0.9
    assert found.looks == Looks(2, closer=1)


@pytest.mark.parametrize("closer", [NOBODY, face(SHOWN, SHOWN, 48, 0.23), face(SHOWN + 40, SHOWN, 48, 0.9)])
def test_one_that_it_does_not_see_or_sees_elsewhere_is_none(closer: Faces) -> None:
    found = look(Workers(Faces.joined([SURE, face(400, 300, 30, 0.25)]), closer))
    assert len(found.faces) == 1


def test_what_else_the_closer_look_shows_is_nobodys() -> None:
    """A look at a part takes for faces what the whole shows to be none."""
    found = look(Workers(Faces.joined([SURE, DOUBTED]), closer=face(60, 0, 30, 0.99)))
    np.testing.assert_array_equal(found.faces.boxes, SURE.boxes)


def test_without_doubt_one_look_is_enough_and_its_faces_stay_as_they_are() -> None:
    workers = Workers(Faces.joined([SURE, face(300, 10, 20, 0.5), face(500, 10, 20, 0.1)]))
    found = look(workers)
    assert len(workers.seen) == 1
    np.testing.assert_array_equal(found.faces.scores, np.float32([0.95, 0.5]))
    assert found.looks == Looks(1)


def test_where_faces_are_covered_a_sure_one_stays_whatever_a_closer_look_says() -> None:
    found = look(Workers(Faces.joined([SURE, DOUBTED]), closer=face(SHOWN, SHOWN, 48, 0.15)))
    np.testing.assert_array_equal(found.faces.packed(), SURE.packed())


@pytest.mark.parametrize(("closer", "stays"), [(0.9, True), (0.5, True), (0.15, False), (0.0, False)])
def test_where_they_are_told_from_other_things_a_closer_look_may_deny_one(closer: float, stays: bool) -> None:
    likely = face(400, 300, 30, 0.7)
    found = look(Workers(Faces.joined([SURE, likely]), face(SHOWN, SHOWN, 48, closer)), rule=TELLING)
    np.testing.assert_array_equal(found.faces.boxes, Faces.joined([SURE, likely][: 1 + stays]).boxes)
    assert found.looks == Looks(2, closer=1)


def test_there_a_face_is_one_where_the_mean_of_both_looks_is_enough() -> None:
    """Of 0.475 in log odds, which is that of 0.4 and 0.551."""
    for closer, faces in ((0.54, 0), (0.56, 1)):
        assert len(look(Workers(DOUBTED, face(SHOWN, SHOWN, 48, closer)), rule=TELLING).faces) == faces


def test_there_what_scores_too_little_comes_first_then_what_is_least_sure() -> None:
    likely = [face(40 * number, 400, 20, 0.55 + number / 100) for number in range(10)]
    workers, finds = Workers(Faces.joined([SURE, *likely[::-1], crowd(44)])), OWN_SHEETS.most_of(SIDE)
    found = look(workers, rule=TELLING)
    assert found.looks == Looks(1 + SHEETS, closer=finds)
    unseen = likely[finds - 44 :][::-1]
    np.testing.assert_array_equal(found.faces.boxes, Faces.joined([SURE, *unseen]).boxes)  # the sheet showed nobody


def test_a_part_of_a_sure_face_is_no_doubt() -> None:
    workers = Workers(Faces.joined([SURE, face(20, 20, 20, 0.4)]))
    look(workers)
    assert len(workers.seen) == 1


@pytest.mark.parametrize("doubted", [1, 2, 5, 16])
def test_the_doubted_finds_of_most_pictures_are_one_more_run(doubted: int) -> None:
    workers = Workers(crowd(doubted))
    assert look(workers).looks == Looks(2, closer=doubted)
    (header,) = workers.seen[1].headers
    assert (header.side % 32, header.turns) == (0, (0,))


@pytest.mark.parametrize(
    ("doubted", "sides"), [(17, [384, 96]), (25, [384, 288]), (32, [384, 384]), (33, [384, 384, 96])]
)
def test_those_of_a_crowd_lie_in_several_sheets_of_which_the_last_is_no_larger_than_it_must_be(
    doubted: int, sides: list[int]
) -> None:
    workers = Workers(crowd(doubted))
    assert look(workers).looks == Looks(1 + len(sides), closer=doubted)
    assert [(header.side, header.x, header.y) for header in workers.seen[1].headers] == [
        (side, SHEET_SIDE * place, 0) for place, side in enumerate(sides)
    ]


def test_the_likeliest_are_looked_at_in_no_more_sheets_than_one_plain_look_costs() -> None:
    workers, finds = Workers(crowd(60)), OWN_SHEETS.most_of(SIDE)
    assert look(workers).looks == Looks(1 + SHEETS, closer=finds)
    assert SHEETS * SHEET_SIDE**2 < 1.1 * SIDE**2
    _, doubted = doubts.parted(crowd(60), 0.5, finds, COVERING, 1.0)
    np.testing.assert_array_equal(doubted.boxes, crowd(finds).boxes)


def test_what_a_closer_look_would_show_smaller_is_not_denied() -> None:
    small, large = face(0, 0, 40, 0.6), face(200, 200, 200, 0.55)
    both = Faces.joined([small, large])
    for scale, asked in ((1.0, [small]), (0.3, [small, large]), (3.0, [])):
        sure, doubted = doubts.parted(both, 0.5, 16, TELLING, scale)
        np.testing.assert_array_equal(doubted.boxes, Faces.joined([Faces.none(), *asked]).boxes)
        assert len(sure) + len(doubted) == 2
    _, doubted = doubts.parted(face(200, 200, 200, 0.4), 0.5, 16, TELLING, 1.0)
    assert len(doubted) == 1  # it may still be convinced of


@pytest.mark.parametrize(("rule", "least", "sure"), [(COVERING, 0.2, 0.5), (TELLING, 0.22, 0.9)])
def test_what_is_doubted_lies_between_two_scores(rule: Rule, least: float, sure: float) -> None:
    assert doubts.doubted_from(0.5, rule) == pytest.approx(least, abs=0.005)
    for score, asked in ((sure - 0.01, 1), (sure + 0.01, 0)):
        assert len(doubts.parted(face(0, 0, 30, score), 0.5, 16, rule, 1.0)[1]) == asked


def test_a_closer_network_is_asked_about_faint_finds_too_where_they_are_small() -> None:
    assert doubts.doubted_from(0.5, COVERING_FAINT) == pytest.approx(0.05, abs=0.001)
    side = float(doubts.SMALL)
    for find, scale, asked in (
        (face(0, 0, side, 0.06), 1.0, 1),
        (face(0, 0, side + 1, 0.06), 1.0, 0),
        (face(0, 0, 4 * side, 0.06), 0.25, 1),  # of the input's pixels
        (face(0, 0, 4 * side, 0.3), 1.0, 1),  # not faint
    ):
        assert len(doubts.parted(find, 0.5, 16, COVERING_FAINT, scale)[1]) == asked


@pytest.mark.parametrize(("closer", "faces"), [(0.97, 1), (0.95, 0)])
def test_a_faint_one_must_convince_by_more(closer: float, faces: int) -> None:
    """By a mean of 0.574, which is that of 0.06 and 0.967; 0.3 would be that of 0.06 and 0.742."""
    workers = Workers(face(400, 300, 20, 0.06), face(SHOWN, SHOWN, 48, closer))
    assert len(look(workers, rule=COVERING_FAINT).faces) == faces


def test_faint_ones_come_last_and_are_few() -> None:
    faint = Faces.joined([face(8 * place, 420, 6, 0.1) for place in range(60)])
    for others, asked in ((1, doubts.FAINT_MOST), (45, 3), (48, 0)):
        _, doubted = doubts.parted(Faces.joined([SURE, crowd(others), faint]), 0.5, 48, COVERING_FAINT, 1.0)
        np.testing.assert_array_equal(doubted.boxes, np.concatenate([crowd(others).boxes, faint.boxes[:asked]]))


@pytest.mark.parametrize("number", [0, 15, 16, 31, 40])
def test_a_find_is_told_by_its_own_sheet_alone(number: int) -> None:
    """All sheets are alike inside; the workers tell where in the row of them a face lies."""
    place, cell = divmod(number, OWN_SHEETS.most_in(SIDE))
    column, row = (cell % 4, cell // 4) if place < 2 else (cell % 3, cell // 3)
    seen = face(SHEET_SIDE * place + CELL * column + SHOWN, CELL * row + SHOWN, FACE, 0.9)
    found = look(Workers(crowd(41), closer=seen))
    np.testing.assert_array_equal(found.faces.boxes, crowd(41).boxes[[number]])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("side", [96, 160, 320, 384, 640, 2048])
def test_a_sheet_fits_into_the_input_of_the_plain_look(side: int, form: SheetForm) -> None:
    """So a network of one fixed size takes it, too."""
    assert form.side_of(form.most_in(side)) <= min(side, form.side_max)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("finds", range(1, 17))
def test_a_sheet_is_one_of_whole_strides_and_no_row_of_cells_is_empty(finds: int, form: SheetForm) -> None:
    rows, side = form.rows_of(finds), form.side_of(finds)
    assert (rows % 32, side % 32) == (0, 0)
    assert (rows // form.cell - 1) * (side // form.cell) < finds <= (rows // form.cell) * (side // form.cell)


def test_workers_are_told_which_crop_is_a_sheet_and_nothing_of_whole_pictures_is_learned_of_it() -> None:
    workers = Workers(Faces.joined([SURE, DOUBTED]))
    look(workers)
    assert [header.sheet for work in workers.seen for header in work.headers] == [False, True]
    assert [work.plain for work in workers.seen] == [True, False]


def test_max_faces_cuts_when_the_closer_looks_were_seen() -> None:
    workers = Workers(Faces.joined([SURE, face(300, 200, 200, 0.45)]), closer=face(SHOWN, SHOWN, 48, 0.9))
    assert workers.first.scores[1] < look(workers, max_faces=1).faces.scores[0]
    np.testing.assert_array_equal(
        look(Workers(workers.first, workers.closer), max_faces=1).faces.boxes[0, :2], [300, 200]
    )


@given(
    some.floats(0.01, 1),
    some.floats(0.01, 0.99),
    some.floats(0.01, 0.99),
    some.sampled_from([COVERING, COVERING_FAINT, TELLING]),
)
def test_at_any_confidence_what_is_never_asked_for_would_not_have_convinced(
    confidence: float, first: float, closer: float, rule: Rule
) -> None:
    shown, find = face(SHOWN, SHOWN, 48, closer), face(0, 0, 30, first)
    known = doubts.agreed(find, shown.boxes, shown, confidence, rule)
    assert (known.scores >= np.float32(confidence)).all()
    _, doubted = doubts.parted(find, confidence, 1, rule, 1.0)
    if len(doubted) and closer < doubts.convincing_from(confidence, rule) - 1e-6:
        assert len(known) == 0
    assert doubts.LEAST <= doubts.doubted_from(confidence, rule) <= max(confidence, doubts.LEAST)


def rectangle(x: float, y: float, width: float, height: float) -> Faces:
    return Faces(
        np.array([[x, y, x + width, y + height]], np.float32), np.float32([0.4]), np.zeros((1, 5, 2), np.float32)
    )


@pytest.mark.parametrize("size", [(800, 600), (600, 800), (1600, 200), (641, 640), (40, 30), (8000, 10), (10, 300_000)])
@given(data=some.data())
def test_a_find_of_any_size_and_place_lies_in_its_cell_in_one_size(
    size: tuple[int, int], data: some.DataObject
) -> None:
    """Also one that reaches beyond the picture's edge. To a pixel of the picture."""
    seen = whole(*size)
    width, height = (data.draw(some.floats(1, max(size) * 1.2)) for _ in range(2))
    x, y = data.draw(some.floats(0, size[0])) - width / 2, data.draw(some.floats(0, size[1])) - height / 2
    sheets = sheets_of(rectangle(x, y, width, height), seen, OWN_SHEETS, black)
    assert [crop.pixels.shape for crop in sheets.crops] == [(CELL, CELL, 3)]
    middle, long = (sheets.boxes[0, :2] + sheets.boxes[0, 2:]) / 2, (sheets.boxes[0, 2:] - sheets.boxes[0, :2]).max()
    pixels = max(width, height) * seen.scale
    shown = max(1, pixels) * CELL / FACE  # pixels of the picture, of which only whole ones are shown
    assert CELL / (shown + 0.51) <= long / pixels <= CELL / (shown - 0.51)
    np.testing.assert_allclose(middle, CELL / 2, atol=1.01 * long / pixels)


def painted(boxes: list[tuple[int, int, int, int]]) -> Crop:
    """A picture of SIDE by 480 with each box in a grey of its own."""
    seen = whole()
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        seen.pixels[y1:y2, x1:x2] = 250 - 10 * number
    return seen


def shown(boxes: list[tuple[int, int, int, int]], seen: Crop, form: SheetForm = OWN_SHEETS) -> Sheets:
    finds = [rectangle(*(np.array([x1, y1, x2 - x1, y2 - y1]) / seen.scale)) for x1, y1, x2, y2 in boxes]
    return sheets_of(Faces.joined(finds), seen, form, black)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("finds", [1, 2, 3, 4, 5, 9, 10, 16])
def test_every_cell_shows_its_own_find_where_the_sheet_says(finds: int, form: SheetForm) -> None:
    boxes = [
        (150 * (n % 4) + 40, 110 * (n // 4) + 50, 150 * (n % 4) + 60 + n, 110 * (n // 4) + 74) for n in range(finds)
    ]
    sheets = shown(boxes, painted(boxes), form)
    (crop,) = sheets.crops
    cell, across = form.cell, crop.side // form.cell
    assert crop.pixels.shape == (form.rows_of(finds), crop.side, 3)
    assert (across - 1) ** 2 < finds <= across**2
    for number, box in enumerate(sheets.boxes):
        row, column = divmod(number, across)
        painted_cell = crop.pixels[:, :, 0][row * cell :, column * cell :][:cell, :cell]
        left, top, right, bottom = (int(corner) % cell for corner in box.round())
        assert max(right - left, bottom - top) == FACE
        assert (painted_cell[top + 2 : bottom - 2, left + 2 : right - 2] == 250 - 10 * number).all()
        painted_cell[top - 2 : bottom + 2, left - 2 : right + 2] = 0
        assert not painted_cell.any()
    cells = [(int(x // cell), int(y // cell)) for box in sheets.boxes for x, y in (box[:2], box[2:])]
    assert cells[::2] == cells[1::2]
    assert len(set(cells)) == finds


@pytest.mark.parametrize("form", FORMS)
def test_a_find_in_one_cell_is_never_that_of_another(form: SheetForm) -> None:
    """There is room around each: two boxes of that size do not even touch."""
    boxes = [(30 * (n % 20), 100, 30 * (n % 20) + 15, 115) for n in range(40)]
    for one, other in itertools.permutations(shown(boxes, whole(), form).boxes, 2):
        assert np.maximum(one[:2] - other[2:], other[:2] - one[2:]).max() >= form.cell - FACE


@pytest.mark.parametrize("box", [(0, 0, 20, 24), (620, 456, 640, 480), (0, 200, 10, 224), (300, 470, 318, 480)])
def test_at_the_edge_of_the_picture_a_find_stays_in_the_middle_and_nothing_lies_beside_it(
    box: tuple[int, int, int, int],
) -> None:
    seen = painted([])
    seen.pixels[:] = 100
    seen.pixels[box[1] : box[3], box[0] : box[2]] = 250
    sheets = shown([box], seen)
    left, top, right, bottom = (int(corner) for corner in sheets.boxes[0].round())
    grey = sheets.crops[0].pixels[:, :, 0]
    assert (grey[top + 3 : bottom - 3, left + 3 : right - 3] > 240).all()
    np.testing.assert_allclose([(left + right) / 2, (top + bottom) / 2], CELL / 2, atol=2)
    if box[0] == 0:
        assert not grey[:, : left - 2].any()
    if box[2] == 640:
        assert not grey[:, right + 2 :].any()
    if box[1] == 0:
        assert not grey[: top - 2].any()
    if box[3] == 480:
        assert not grey[bottom + 2 :].any()


def test_what_is_transparent_is_seen_twice_and_the_better_of_both_counts() -> None:
    workers = Workers(Faces.joined([SURE, DOUBTED]), closer=face(SHOWN, SHOWN, 48, 0.8))
    picture = Photograph(PictureFacts(WIDTH, HEIGHT, 3, 1, 1), (whole(), whole()))
    question = Question(0.5, 0.4, closer=COVERING)
    found = asyncio.run(detect_picture(workers, picture, question, Deadline.after(60.0, 0.0)))  # type: ignore[arg-type]
    assert (len(found.faces), found.looks) == (2, Looks(4, closer=1))
