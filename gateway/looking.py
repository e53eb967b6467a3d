"""How a request's picture is looked at: what its parameters ask for, else what the server's settings say. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.choosing import FaceChoice
from gateway.dispatching.detection import Question, passes_for, sides_for
from gateway.endpoints import Task
from gateway.params import DetectParams, MaskParams
from gateway.pictures.headers.facts import Header
from gateway.pictures.tiling import tiles_of
from shared.cells import CLOSER_SHEETS, OWN_SHEETS
from shared.doubts import COVERING, COVERING_FAINT, TELLING, Rule
from shared.settings import Settings

#: By `closer`, and with a closer network.
_RULES: dict[bool | Literal["tell"], Rule | None] = {False: None, True: COVERING, "tell": TELLING}
_RULES_BY_NETWORK = _RULES | {True: COVERING_FAINT}


@dataclass(frozen=True, slots=True)
class Looking:
    """sides: of the plain look and the second; none where nobody is looked for. tiles: at most so many. choice: of what
    is found. masks: transparent pictures are seen twice.
    """

    sides: tuple[int, ...]
    tiles: int
    question: Question
    choice: FaceChoice
    masks: bool

    def passes(self, header: Header) -> float:
        """What this picture may cost, in plain looks."""
        if not self.sides:
            return 0.0
        tiles = tiles_of(*header.upright_size, self.sides[0], self.tiles)
        sheets = self.question.sheets if self.question.closer else None
        once = passes_for(self.question.turns, tiles, self.sides[0], sheets)
        return once * (1 + (header.alpha and self.masks))


def reach_of(looks: Looking, params: DetectParams | MaskParams, settings: Settings, *, exact_pixels: bool) -> int:
    """Pixels that the longer side of a JPEG keeps where it may be decoded smaller to be looked at; 0: not smaller.

    exact_pixels: whether a model that serves is shown just what the reference would show it. Tiles want all pixels. A
    picture to mask is decoded whole in any case, unless its file is kept; it is seen as detect sees it there, and where
    faces are named by detect's order.
    """
    if looks.tiles or (isinstance(params, MaskParams) and not params.by_index and not params.options.keeps):
        return 0
    return 0 if _as_the_reference(settings, exact_pixels=exact_pixels) else settings.input_side


def stays_planar(looks: Looking, params: DetectParams | MaskParams, settings: Settings, *, exact_pixels: bool) -> bool:
    """Whether a JPEG may be held in planes until it is masked as one: its colours then lie otherwise between the file's
    samples than the reference's. Tiles are cut from pixels.
    """
    if not isinstance(params, MaskParams) or not params.options.writes_planes or looks.tiles:
        return False
    return not looks.sides or not _as_the_reference(settings, exact_pixels=exact_pixels)


def _as_the_reference(settings: Settings, *, exact_pixels: bool) -> bool:
    """Whether JPEGs are looked at just as the reference would show them."""
    return settings.scaled_jpeg == "false" or (settings.scaled_jpeg == "auto" and exact_pixels)


def looking(
    task: Task, params: DetectParams | MaskParams, settings: Settings, *, closer_network: bool = False
) -> Looking:
    """A parameter of one's own comes before `thorough`, and that before the settings.

    Who names faces by detect's index has seen what detect found: mask then looks closer only as detect does.
    closer_network: whether the model that serves has one.
    """
    masks = task == "mask"
    second = settings.mask_second_side if masks else settings.detect_second_side
    turns = settings.mask_turns if masks else settings.detect_turns
    tiles = settings.mask_tiles if masks else settings.detect_tiles
    as_mask = isinstance(params, MaskParams) and not params.by_index
    closer = settings.mask_closer if as_mask else _detect_closer(settings, closer_network=closer_network)
    if (masks and settings.mask_thorough) if params.thorough is None else params.thorough:
        turns, tiles = "always", settings.thorough_tiles
        second = second or settings.mask_second_side
        closer = True
    second = second if params.second_side is None else params.second_side
    tiles = tiles if params.tiles is None else params.tiles
    choice = FaceChoice(params.max_faces, params.order, params.min_size, params.ignore)
    most = params.max_faces if choice.plain else 0
    closer = closer if params.closer is None else params.closer
    rules, sheets = (_RULES_BY_NETWORK, CLOSER_SHEETS) if closer_network else (_RULES, OWN_SHEETS)
    question = Question(params.confidence, params.nms_threshold, most, params.turns or turns, rules[closer], sheets)
    if isinstance(params, MaskParams) and not params.detect:
        return Looking((), 0, question, choice, masks)
    return Looking(sides_for(settings.input_side, second), tiles, question, choice, masks)


def _detect_closer(settings: Settings, *, closer_network: bool) -> bool | Literal["tell"]:
    if settings.detect_closer in ("auto", "tell"):
        return "tell" if closer_network or settings.detect_closer == "tell" else False
    return settings.detect_closer == "true"
