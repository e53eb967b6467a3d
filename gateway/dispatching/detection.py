"""From an opened picture to its faces: how often it is looked at, and how all that is seen becomes one answer.

The one place that turns a Picture into Work for the dispatcher. The plain look is the reference's; where nothing else
was asked for, its answer is passed on as it is. Whatever is seen beside it meets it in one suppression, in pixels of
the upright picture. Many looks are several requests to the workers, a few at a time, so that others come between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import msgspec
import numpy as np

from gateway.dispatching.dispatch import Detection, Dispatcher, Looks
from gateway.dispatching.sheets import sheets_of
from gateway.dispatching.work_queue import Work
from gateway.pictures.letterbox import Letterbox
from gateway.pictures.picture import Picture
from gateway.pictures.picture_facts import Crop
from shared import doubts
from shared.cells import OWN_SHEETS, SHEETS, SheetForm
from shared.choice import limited, suppressed, without_contained
from shared.deadline import Deadline
from shared.doubts import Rule
from shared.errors import BadParameter
from shared.faces import Faces
from shared.messages import Canary, CropHeader, ModelInfo, Turn, Welcome
from shared.settings import Turns
from shared.wire import CROPS_MAX

#: A picture whose best face scores less may lie on its side: the best in the plain look, since a look at a small copy
#: believes in faces that are turned. A development figure, chosen with 24 portraits in four turns (all found, by the
#: open model and the official 500M) and 150 everyday photographs (4 and 10 looked at again, 1 and 0 false boxes more).
SURE = 0.7
#: By how much of the rest to 1 a find must be surer where turns are only looked at in doubt: small copies on their side
#: show faces where there are none. A development figure: of 6 more false boxes on 452 everyday photographs it leaves 2,
#: of 265 faces that lie on their side and were found it loses 1 (open model); 0.3 would lose one portrait of 24 (500M).
TURNED_MARGIN = 0.2
UPRIGHT: tuple[Turn, ...] = (0,)
TURNED: tuple[Turn, ...] = (1, 2, 3)
#: Parts of the plain look's side that a picture is looked at turned with, to find large faces cheaply.
TURNED_PARTS = (2, 4)
#: What the turned looks cost, in full inputs.
_SMALL_PASSES = len(TURNED) * sum(part**-2 for part in TURNED_PARTS)
_TURNED_PASSES: dict[Turns, float] = {
    "never": 0.0,
    "unsure": _SMALL_PASSES,
    "always": _SMALL_PASSES + len(TURNED),
}
STRIDE_MAX = 32
#: Full inputs that one request to a worker holds, more only where they are one crop's turns, and such requests of one
#: picture at once: what others' requests wait for.
INPUTS_PER_WORK, WORKS_AT_ONCE = 2.0, 2

#: Finds of several looks: so few are compared in passing, and more than any crowd has are refused.
FINDS_FEW, FINDS_MAX = 500, 5000

#: Of a picture in which nobody was looked for, by no worker and no model.
NOT_LOOKED = Detection(
    Faces.none(), 0.0, 0.0, 0.0, 0, "",
    Welcome("", 0, 0, 1, 1, ModelInfo("none", "", "", 1, False, 1, True, "", ""), Canary(0.0, 0.0, [], 0.0, 0.0)),
    Looks(0), 0.0,
)  # fmt: skip

#: A crop and the turns it is looked at with.
Look = tuple[Crop, tuple[Turn, ...]]
#: What one request to a worker asks, of which looks.
Portion = tuple["Question", list[Look]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a picture. max_faces 0: all. closer: by which rule doubted finds are looked at again; None: they
    are not. sheets: the form of what they are shown in. trace: of the request that asks, for the worker's words.
    """

    confidence: float
    nms_threshold: float
    max_faces: int = 0
    turns: Turns = "never"
    closer: Rule | None = None
    sheets: SheetForm = OWN_SHEETS
    trace: str = ""


def passes_for(turns: Turns, tiles: int, side: int, sheets: SheetForm | None) -> float:
    """How many full inputs of this side a picture may cost at most, the plain look among them: its price.

    sheets: the form of those for closer looks; None where nothing is looked at closer.
    """
    doubted = SHEETS * (sheets.side_of(sheets.most_in(side)) / side) ** 2 if sheets else 0.0
    return 1 + _TURNED_PASSES[turns] + doubted + tiles * (1 + len(TURNED) * (turns == "always"))


def sides_for(input_side: int, second: int) -> tuple[int, ...]:
    """The input sides to look at a picture with; a second look is only one when it is smaller."""
    return (input_side, second) if 0 < second < input_side else (input_side,)


def small_sides(side: int) -> list[int]:
    """The sides of the small turned looks: whole multiples of the network's largest stride."""
    return sorted({-(-side // part // STRIDE_MAX) * STRIDE_MAX for part in TURNED_PARTS} - {side})


async def detect_picture(dispatcher: Dispatcher, picture: Picture, question: Question, deadline: Deadline) -> Detection:
    """Faces in pixels of the upright picture. Raises what `Dispatcher.detect` raises, never fewer looks."""
    tiles = [crop for crop in picture.crops if crop.tile]
    whole = [(crop, UPRIGHT) for crop in picture.crops if not crop.tile]
    if question.turns == "never" and not question.closer and not tiles:
        return await dispatcher.detect(_work(dispatcher, picture, question, whole, deadline))
    started = asyncio.get_running_loop().time()
    alone = replace(question, max_faces=0)
    first = await dispatcher.detect(_work(dispatcher, picture, _of_first(alone), whole, deadline))
    sure, doubted, rule, form = first.faces, Faces.none(), question.closer, question.sheets
    if rule:
        seen = picture.crops[0]
        sure, doubted = doubts.parted(first.faces, question.confidence, form.most_of(seen.side), rule, seen.scale)
    seen_closer = _plain(picture) if len(doubted) else []
    sheets = [sheets_of(doubted, crop, form, dispatcher.blank) for crop in seen_closer]
    turned = question.turns == "always" or (question.turns == "unsure" and first.sure < SURE)
    nearer = _nearer(picture, [crop for one in sheets for crop in one.crops], alone, rule) if rule else []
    elsewhere = _elsewhere(picture, alone, tiles, turned=turned)
    further = await _all(dispatcher, picture, nearer + elsewhere, deadline)
    spent_ms = (asyncio.get_running_loop().time() - started) * 1000
    found = [sure, *(one.faces for one in further[len(nearer) :])]
    if nearer and rule:
        closer = Faces.joined([one.faces for one in further[: len(nearer)]])
        found.append(doubts.agreed(doubted, sheets[0].boxes, closer, question.confidence, rule))
    faces = await _together(found, question, parts=bool(elsewhere))
    faces = limited(faces, question.max_faces, picture.facts.width, picture.facts.height)
    places = len({(crop.x, crop.y) for crop in tiles})  # what is transparent is seen twice
    looks = Looks(0, places, len(TURNED) * turned, len(doubted))
    return _summed([first, *further], faces, looks, spent_ms)


def _of_first(question: Question) -> Question:
    """What is asked of the first look: what is to be doubted, too, where it will be looked at closer."""
    if not question.closer:
        return question
    return replace(question, confidence=doubts.doubted_from(question.confidence, question.closer))


def _nearer(picture: Picture, sheets: list[Crop], question: Question, rule: Rule) -> list[Portion]:
    """Closer looks at what was doubted, at all that may convince."""
    asked = replace(question, confidence=doubts.convincing_from(question.confidence, rule))
    looks = [(sheet, UPRIGHT) for sheet in sheets]
    return [(asked, portion) for portion in _portions(looks, picture.crops[0].side)]


def _elsewhere(picture: Picture, question: Question, tiles: list[Crop], *, turned: bool) -> list[Portion]:
    """Turned looks and those at tiles."""
    side = picture.crops[0].side
    turns = _turned_looks(picture, question.turns) if turned else []
    return [
        *((_of_turned(question), portion) for portion in _portions(turns, side)),
        *((question, portion) for portion in _portions(_tile_looks(tiles, question.turns), side)),
    ]


def _plain(picture: Picture) -> list[Crop]:
    """The whole picture as large as the input; what is transparent is there twice."""
    return [crop for crop in picture.crops if crop.side == picture.crops[0].side and not crop.tile]


def _of_turned(question: Question) -> Question:
    """What is asked of turned looks: surer faces where the caller did not ask for turns."""
    if question.turns != "unsure":
        return question
    return replace(question, confidence=question.confidence + TURNED_MARGIN * (1 - question.confidence))


def _turned_looks(picture: Picture, turns: Turns) -> list[Look]:
    """Of the whole picture; in full size only where turns are always wanted."""
    whole = _plain(picture)
    small = [_smaller(crop, picture, part) for crop in whole for part in small_sides(whole[0].side)]
    return [(crop, TURNED) for crop in (small + whole if turns == "always" else small)]


def _tile_looks(tiles: list[Crop], turns: Turns) -> list[Look]:
    return [(crop, UPRIGHT + TURNED if turns == "always" else UPRIGHT) for crop in tiles]


def _smaller(crop: Crop, picture: Picture, side: int) -> Crop:
    """The same view in a smaller input."""
    fit = Letterbox.fit(picture.facts.width, picture.facts.height, side)
    pixels = cv2.resize(crop.pixels, (fit.cols, fit.rows), interpolation=cv2.INTER_AREA)
    return Crop(np.ascontiguousarray(pixels, np.uint8), side, fit.scale)


def _portions(looks: list[Look], side: int) -> Iterator[list[Look]]:
    """Neighbours together, as much as one request to a worker may hold."""
    portion: list[Look] = []
    for look in looks:
        if portion and (len(portion) == CROPS_MAX or _inputs([*portion, look], side) > INPUTS_PER_WORK):
            yield portion
            portion = []
        portion.append(look)
    if portion:
        yield portion


def _inputs(looks: list[Look], side: int) -> float:
    """What they cost, in inputs of this side."""
    return sum((crop.side / side) ** 2 * len(turns) for crop, turns in looks)


async def _all(
    dispatcher: Dispatcher, picture: Picture, portions: list[Portion], deadline: Deadline
) -> list[Detection]:
    """What each portion finds, in order; the first that fails ends the others, and is raised."""
    room = asyncio.Semaphore(WORKS_AT_ONCE)

    async def one(question: Question, looks: list[Look]) -> Detection:
        async with room:
            work = _work(dispatcher, picture, question, looks, deadline, accompanied=len(portions) > 1)
            return await dispatcher.detect(work)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(*portion)) for portion in portions]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _work(
    dispatcher: Dispatcher,
    picture: Picture,
    question: Question,
    looks: Sequence[Look],
    deadline: Deadline,
    *,
    accompanied: bool = False,
) -> Work:
    return Work(
        id=dispatcher.next_id(),
        crops=tuple([crop.pixels for crop, _ in looks]),
        headers=tuple([_header(crop, turns) for crop, turns in looks]),
        confidence=question.confidence,
        nms_threshold=question.nms_threshold,
        max_faces=question.max_faces,
        width=picture.facts.width,
        height=picture.facts.height,
        deadline=deadline,
        trace=question.trace,
        plain=all(turns == UPRIGHT and not crop.tile for crop, turns in looks),
        accompanied=accompanied,
    )


def _header(crop: Crop, turns: tuple[Turn, ...]) -> CropHeader:
    rows, cols, _ = crop.pixels.shape
    return CropHeader(rows, cols, crop.side, crop.scale, crop.x, crop.y, turns, crop.sheet)


async def _together(found: list[Faces], question: Question, *, parts: bool) -> Faces:
    """What several looks found, best first. parts: whether some may have shown a part of a face as a whole one."""
    joined = Faces.joined(found)
    if len(found) == 1:
        return joined
    if len(joined) > FINDS_MAX:
        raise BadParameter(
            f"the looks at this picture find more than {FINDS_MAX} boxes; raise confidence, lower nms_threshold, "
            "or ask for fewer tiles or turns"
        )
    if len(joined) <= FINDS_FEW:
        return _best_of(joined, question, parts=parts)
    # Up to 0.7 s of comparing, in which other requests go on.
    return await asyncio.to_thread(_best_of, joined, question, parts=parts)


def _best_of(joined: Faces, question: Question, *, parts: bool) -> Faces:
    faces = suppressed(joined, question.nms_threshold)
    return without_contained(faces) if parts else faces


def _summed(seen: list[Detection], faces: Faces, looks: Looks, spent_ms: float) -> Detection:
    """One answer of several. Some of them ran side by side: their times add up to no more than was spent."""
    looks = msgspec.structs.replace(looks, passes=sum(one.looks.passes for one in seen))
    postprocess_ms = min(spent_ms, sum(one.postprocess_ms for one in seen))
    inference_ms = min(spent_ms - postprocess_ms, sum(one.inference_ms for one in seen))
    return msgspec.structs.replace(
        seen[0], faces=faces, queue_ms=spent_ms - inference_ms - postprocess_ms, inference_ms=inference_ms,
        postprocess_ms=postprocess_ms, looks=looks,
    )  # fmt: skip
