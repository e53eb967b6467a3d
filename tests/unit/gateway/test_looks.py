"""How often a picture is looked at, in which portions, and how everything that is seen becomes one answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from gateway.dispatching.detection import FINDS_MAX, INPUTS_PER_WORK, SURE, WORKS_AT_ONCE, Question, detect_picture
from gateway.dispatching.dispatch import Detection, Looks
from gateway.dispatching.work_queue import Work
from gateway.looking import looking, reach_of, stays_planar
from gateway.params import DetectParams, MaskParams
from gateway.pictures.headers.facts import Header
from gateway.pictures.picture_facts import Crop, PictureFacts
from gateway.pictures.views import crop_of, shapes_of, shown
from shared.deadline import Deadline
from shared.errors import BadParameter, DeadlineExceeded
from shared.faces import Faces
from shared.settings import Settings, Turns
from shared.wire import CROPS_MAX, LOOKS_MAX, looks_of

SIDE = 640
FAR = Deadline.after(60.0, 0.0)


def face(x: float, y: float, size: float, score: float) -> Faces:
    box = np.array([[x, y, x + size, y + size]], np.float32)
    return Faces(box, np.array([score], np.float32), np.zeros((1, 5, 2), np.float32))


NOBODY = Faces.none()


@dataclass
class Workers:
    """Answers each request with what its looks show: `upright` for the plain one, `turned` and `tiled` for those."""

    upright: Faces = NOBODY
    turned: Faces = NOBODY
    tiled: Faces = NOBODY
    fails: bool = False
    seen: list[Work] = field(default_factory=list)
    at_once: int = 0
    at_once_most: int = 0

    def next_id(self) -> int:
        return len(self.seen) + 1

    async def detect(self, work: Work) -> Detection:
        self.seen.append(work)
        self.at_once += 1
        self.at_once_most = max(self.at_once_most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.fails and len(self.seen) > 1:
            raise DeadlineExceeded("too late")
        turned = any(0 not in header.turns for header in work.headers)
        faces = self.turned if turned else self.upright if work.plain else self.tiled
        sure = float(faces.scores.max(initial=0.0))
        return Detection(faces, 0.0, 1.0, 0.1, 1, "idle", None, Looks(looks_of(work.headers)), sure)  # type: ignore[arg-type]

    @property
    def turns(self) -> list[tuple[int, ...]]:
        return [header.turns for work in self.seen for header in work.headers]


@dataclass
class Photograph:
    facts: PictureFacts
    crops: tuple[Crop, ...]


def photograph(width: int = 800, height: int = 600, tiles: int = 0, sides: tuple[int, ...] = (SIDE,)) -> Photograph:
    wanted = width, height, sides, tiles
    crops = map(crop_of, shapes_of(*wanted), shown(np.zeros((height, width, 3), np.uint8), *wanted))
    return Photograph(PictureFacts(width, height, 3, 1, 1), tuple(crops))


def look(workers: Workers, picture: Photograph, turns: Turns = "never", max_faces: int = 0) -> Detection:
    question = Question(0.5, 0.4, max_faces, turns)
    return asyncio.run(detect_picture(workers, picture, question, FAR))  # type: ignore[arg-type]


def test_without_a_wish_one_request_goes_out_and_its_answer_comes_back_as_it_is() -> None:
    workers = Workers(upright=face(10, 10, 50, 0.6))
    found = look(workers, photograph(sides=(SIDE, 160)), max_faces=3)
    assert found.faces is workers.upright
    assert workers.turns == [(0,), (0,)]
    assert workers.seen[0].max_faces == 3
    assert found.looks == Looks(2)


def test_an_upright_look_that_is_sure_of_itself_is_enough() -> None:
    workers = Workers(upright=face(10, 10, 50, SURE + 0.01))
    assert look(workers, photograph(), "unsure").looks == Looks(1)


@pytest.mark.parametrize("upright", [NOBODY, face(10, 10, 50, SURE - 0.01)])
def test_one_that_is_unsure_is_followed_by_turned_looks_at_small_copies(upright: Faces) -> None:
    workers = Workers(upright=upright, turned=face(400, 300, 100, 0.9))
    found = look(workers, photograph(), "unsure")
    assert found.faces.scores[0] == pytest.approx(0.9)
    assert workers.turns == [(0,), (1, 2, 3), (1, 2, 3)]
    assert [header.side for header in workers.seen[1].headers] == [160, 320]
    assert found.looks == Looks(7, 0, 3)


def test_a_find_in_doubt_must_be_surer_turned_than_upright_and_one_that_was_asked_for_need_not() -> None:
    workers = Workers()
    look(workers, photograph(1600, 900, tiles=6), "unsure")
    asked = {(0 in header.turns, work.confidence) for work in workers.seen for header in work.headers}
    assert sorted(asked) == [(False, pytest.approx(0.6)), (True, 0.5)]
    workers = Workers()
    look(workers, photograph(1600, 900, tiles=6), "always")
    assert {work.confidence for work in workers.seen} == {0.5}


def test_always_is_turned_in_full_whatever_the_upright_look_saw() -> None:
    workers = Workers(upright=face(10, 10, 50, 0.99))
    found = look(workers, photograph(), "always")
    assert sorted(header.side for work in workers.seen for header in work.headers) == [160, 320, SIDE, SIDE]
    assert found.looks == Looks(10, 0, 3)


@pytest.mark.parametrize(("turns", "passes"), [("never", 7), ("always", 34)])
def test_tiles_are_looked_at_beside_the_whole_and_with_always_in_every_turn(turns: Turns, passes: int) -> None:
    workers = Workers(tiled=face(10, 10, 50, 0.9))
    found = look(workers, photograph(1600, 900, tiles=16), turns)
    assert found.looks == Looks(passes, 6, 3 if turns == "always" else 0)
    assert len(found.faces) == 1


@pytest.mark.parametrize("turns", ["never", "unsure", "always"])
def test_no_request_holds_a_worker_for_long_and_only_a_few_are_out_at_once(turns: Turns) -> None:
    workers = Workers()
    look(workers, photograph(6000, 4000, tiles=32), turns)
    for work in workers.seen:
        cost = sum((header.side / SIDE) ** 2 * len(header.turns) for header in work.headers)
        assert cost <= INPUTS_PER_WORK or len(work.crops) == 1
        assert len(work.crops) <= CROPS_MAX
        assert looks_of(work.headers) <= LOOKS_MAX
    assert workers.at_once_most <= WORKS_AT_ONCE
    assert [work.accompanied for work in workers.seen] == [False] + [len(workers.seen) > 2] * (len(workers.seen) - 1)


def test_a_face_seen_twice_is_one_and_a_part_of_it_is_none() -> None:
    seen_in_part = face(40, 40, 30, 0.7)
    workers = Workers(upright=face(10, 10, 100, 0.9), tiled=Faces.joined([face(12, 11, 100, 0.8), seen_in_part]))
    found = look(workers, photograph(1600, 900, tiles=16))
    np.testing.assert_allclose(found.faces.boxes, [[10, 10, 110, 110]])


def test_max_faces_cuts_when_everything_was_seen() -> None:
    workers = Workers(upright=face(0, 0, 30, 0.9), tiled=face(700, 400, 200, 0.6))
    found = look(workers, photograph(1600, 900, tiles=16), max_faces=1)
    assert {work.max_faces for work in workers.seen} == {0}
    np.testing.assert_allclose(found.faces.boxes, [[700, 400, 900, 600]])


def test_a_look_that_cannot_be_finished_fails_the_whole() -> None:
    workers = Workers(upright=face(0, 0, 30, 0.9), fails=True)
    with pytest.raises(DeadlineExceeded):
        look(workers, photograph(1600, 900, tiles=16))


def test_more_finds_than_can_be_compared_in_time_are_refused_with_words() -> None:
    workers = Workers(tiled=Faces.joined([face(number, 0, 30, 0.6) for number in range(FINDS_MAX + 1)]))
    with pytest.raises(BadParameter, match="raise confidence"):
        look(workers, photograph(1600, 900, tiles=16))


def test_settings_are_the_default_thorough_comes_before_them_and_a_parameter_before_all() -> None:
    settings = Settings(mask_tiles=4, detect_turns="always", thorough_tiles=20)
    plain = looking("mask", MaskParams(), settings)
    assert (plain.question.turns, plain.tiles, plain.sides) == ("unsure", 4, (640, 160))
    assert looking("detect", DetectParams(), settings).question.turns == "always"
    thorough = looking("detect", DetectParams(thorough=True), settings)
    assert (thorough.question.turns, thorough.tiles, thorough.sides) == ("always", 20, (640, 160))
    own = looking("mask", MaskParams(thorough=True, tiles=0, turns="never", second_side=0), settings)
    assert (own.question.turns, own.tiles, own.sides) == ("never", 0, (640,))
    by_setting = Settings(mask_thorough=True)
    assert looking("mask", MaskParams(), by_setting).question.turns == "always"
    assert looking("mask", MaskParams(thorough=False), by_setting).question.turns == "unsure"
    assert looking("detect", DetectParams(), by_setting).question.turns == "never"


def inputs_of(workers: Workers) -> float:
    """What all that was asked costs, in full inputs without the second look."""
    return sum((h.side / SIDE) ** 2 * len(h.turns) for work in workers.seen for h in work.headers)


@pytest.mark.parametrize("size", [(1600, 900), (400, 300), (8000, 10), (700, 650)])
@pytest.mark.parametrize("turns", ["never", "unsure", "always"])
@pytest.mark.parametrize("tiles", [0, 6])
def test_the_price_of_a_look_is_at_least_what_it_costs(size: tuple[int, int], turns: Turns, tiles: int) -> None:
    workers = Workers()
    look(workers, photograph(*size, tiles=tiles), turns)
    looks = looking("detect", DetectParams(turns=turns, tiles=tiles), Settings())
    assert looks.passes(Header("jpeg", *size)) >= inputs_of(workers) - 1e-9


def test_tiles_that_a_picture_has_not_cost_nothing() -> None:
    thorough = looking("detect", DetectParams(thorough=True), Settings())
    untiled = looking("detect", DetectParams(thorough=True, tiles=0), Settings())
    assert thorough.passes(Header("jpeg", 400, 300)) == untiled.passes(Header("jpeg", 400, 300)) < 7
    assert thorough.passes(Header("jpeg", 1600, 900)) > 25
    assert thorough.passes(Header("jpeg", 900, 1600, orientation=6)) == thorough.passes(Header("jpeg", 1600, 900))


def test_a_transparent_picture_costs_twice_to_mask_and_its_tiles_are_counted_once() -> None:
    opaque, clear = Header("png", 1600, 900), Header("png", 1600, 900, alpha=True)
    for endpoint, times in (("mask", 2), ("detect", 1)):
        looks = looking(endpoint, MaskParams(tiles=16), Settings())  # type: ignore[arg-type]
        unsure = replace(looks, question=replace(looks.question, turns="never"))
        assert unsure.passes(clear) == times * unsure.passes(opaque)
    workers, once = Workers(), photograph(1600, 900, tiles=16)
    found = look(workers, replace(once, crops=once.crops * 2))
    assert found.looks == Looks(14, 6)


@pytest.mark.parametrize("size", [(8000, 10), (10, 8000), (300_000, 10), (641, 10)])
@pytest.mark.parametrize("side", [64, 320, 640])
def test_pictures_of_any_shape_are_looked_at_in_full(size: tuple[int, int], side: int) -> None:
    workers = Workers(tiled=face(1, 1, 5, 0.9))
    look(workers, photograph(*size, tiles=32, sides=(side,)), "always")
    for work in workers.seen:
        for crop, header in zip(work.crops, work.headers, strict=True):
            assert crop.shape == (header.rows, header.cols, 3)
            assert 1 <= min(header.rows, header.cols) <= max(header.rows, header.cols) <= header.side <= side


def reach(params: DetectParams | MaskParams, *, exact_pixels: bool = False, **settings: object) -> int:
    told = Settings(**settings)  # type: ignore[arg-type]
    task = "mask" if isinstance(params, MaskParams) else "detect"
    return reach_of(looking(task, params, told), params, told, exact_pixels=exact_pixels)


def test_a_model_that_may_choose_its_pixels_sees_large_jpegs_no_larger_than_its_input() -> None:
    assert reach(DetectParams()) == SIDE
    assert reach(DetectParams(), exact_pixels=True) == 0
    assert reach(DetectParams(), scaled_jpeg="false") == 0
    assert reach(DetectParams(), scaled_jpeg="true", exact_pixels=True) == SIDE


def test_tiles_are_cut_from_all_pixels() -> None:
    assert reach(DetectParams(tiles=4)) == 0
    assert reach(DetectParams(tiles=4), scaled_jpeg="true") == 0


def test_mask_sees_what_detect_saw_where_it_names_faces_by_its_order() -> None:
    assert reach(MaskParams()) == 0
    assert reach(MaskParams(keep=((1.0, 1.0, 9.0, 9.0),))) == 0
    assert reach(MaskParams(keep=(0,))) == reach(MaskParams(only=(0,))) == reach(DetectParams()) == SIDE


def test_mask_sees_what_detect_saw_where_it_does_not_decode_the_whole_file() -> None:
    assert reach(MaskParams(quality="keep")) == reach(DetectParams()) == SIDE
    assert reach(MaskParams(quality="keep"), exact_pixels=True) == 0
    assert reach(MaskParams(quality="keep", tiles=4)) == 0


def planar(params: DetectParams | MaskParams, *, exact_pixels: bool = False, **settings: object) -> bool:
    told = Settings(**settings)  # type: ignore[arg-type]
    task = "mask" if isinstance(params, MaskParams) else "detect"
    return stays_planar(looking(task, params, told), params, told, exact_pixels=exact_pixels)


def test_a_jpeg_that_is_masked_as_one_stays_in_planes_where_no_reference_is_promised():
    assert planar(MaskParams())
    assert planar(MaskParams(keep=(0,)))
    assert not planar(MaskParams(), exact_pixels=True)
    assert not planar(MaskParams(), scaled_jpeg="false")
    assert planar(MaskParams(), scaled_jpeg="true", exact_pixels=True)
    assert planar(MaskParams(detect=False, regions=((1.0, 1.0, 9.0, 9.0),)), exact_pixels=True), "nobody looks"


@pytest.mark.parametrize(
    "params",
    [
        DetectParams(),
        MaskParams(format="png"),
        MaskParams(quality="keep"),
        MaskParams(annotate=True),
        MaskParams(method="pixelate"),
        MaskParams(thorough=True),
        MaskParams(tiles=4),
    ],
    ids=["detect", "png", "keep", "annotate", "pixelate", "thorough", "tiles"],
)
def test_what_needs_pixels_or_the_files_blocks_becomes_these(params):
    assert not planar(params)
