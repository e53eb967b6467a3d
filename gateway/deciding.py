"""What a person decided about a picture's faces: which stay visible, which alone are masked, what else is. Pure.

When in doubt, covered: what somebody asked to mask is masked, whatever stays visible beside or under it; a box only
keeps the one face that it fits; and what is not clear is refused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gateway.boxes import Box, Picks, boxes_of, indices_of
from gateway.looking import Looking, looking
from gateway.params import DetectParams, MaskParams
from gateway.pictures.marks import Marks
from gateway.pictures.regions import within
from shared.errors import BadParameter
from shared.faces import Faces, FloatArray
from shared.settings import Settings

#: From this IoU on a box means the face that is found there.
SAME_FACE = 0.5


def refuse_senseless(params: DetectParams | MaskParams, width: int, height: int, settings: Settings) -> None:
    """Raises BadParameter for what contradicts itself or the picture. width, height: of the upright picture."""
    if isinstance(params, MaskParams):
        _refuse_contradictions(params, settings)
    for name in ("ignore", "keep", "only", "regions"):
        picks = getattr(params, name, ())
        for box in boxes_of(picks) if picks else ():
            if within(box, width, height) is None:
                shown = ", ".join(f"{corner:g}" for corner in box)
                raise BadParameter(
                    f"{name}: the box [{shown}] lies outside the picture, which is {width}×{height} when upright"
                )


def _refuse_contradictions(params: MaskParams, settings: Settings) -> None:
    if params.keep and params.only:
        raise BadParameter("keep and only are both there; send keep to mask all but these, or only to mask just these")
    if params.options.keeps and params.annotate:
        raise BadParameter(
            "quality=keep changes blocks under masks alone, and annotate draws beside them; "
            "send quality=1 to 100 instead"
        )
    if not params.detect:
        if told := [name for name in ("keep", "only", "ignore") if getattr(params, name)]:
            raise BadParameter(
                f"{told[0]} is about faces that are found, and detect=false looks for none; leave one of them out"
            )
        if not params.regions:
            raise BadParameter("detect=false looks for no face, so there is nothing to mask; send regions")
    by_index = params.by_index
    if by_index and _sees(looking("mask", params, settings)) != _sees(looking("detect", params, settings)):
        raise BadParameter(
            f"{by_index[0]} names a face by its index, but here mask looks more often than detect and may count other "
            f"faces; send second_side, turns, closer and tiles with both, alike, or send boxes in {by_index[0]}"
        )


def _sees(looks: Looking) -> tuple[object, ...]:
    return looks.sides, looks.tiles, looks.question


def refuse_indices(params: MaskParams) -> None:
    """Raises BadParameter where a face is named by its index, of a picture that detect and mask see differently."""
    if params.by_index:
        raise BadParameter(
            "the picture is partly transparent, so mask looks at it twice and may count other faces than detect; "
            "send boxes instead of indices"
        )


def decided(faces: Faces, params: MaskParams, width: int, height: int) -> Marks:
    """What is masked: of the faces found, in detect's order, and beside them."""
    own = list(params.regions)
    if params.only:
        hidden = np.zeros(len(faces), dtype=np.bool_)
        hidden[_by_index(faces, params.only, "only")] = True
        for box in boxes_of(params.only):
            place = _fitting(faces.boxes, box)
            if place is None:
                own.append(box)
            else:
                hidden[place], faces = True, _with_box_grown(faces, place, box)
    else:
        hidden = np.ones(len(faces), dtype=np.bool_)
        hidden[_by_index(faces, params.keep, "keep")] = False
        places = [_fitting(faces.boxes, box) for box in boxes_of(params.keep)]
        hidden[[place for place in places if place is not None]] = False
    regions = [region for box in own if (region := within(box, width, height))]
    return Marks(faces, hidden, tuple(regions))


def _by_index(faces: Faces, picks: Picks, name: str) -> list[int]:
    """Raises BadParameter for an index that no face has."""
    indices = indices_of(picks)
    if indices and (last := max(indices)) >= len(faces):
        found = f"{len(faces)} found, counted from 0" if len(faces) else "none found"
        raise BadParameter(f"{name} names face {last}, and there are {found}; take the indices of detect's answer")
    return indices


def _fitting(boxes: FloatArray, box: Box) -> int | None:
    """Which of the boxes (N, 4) means the same face, the likest; None for none of them."""
    corners = np.array(box)
    low, high = np.maximum(boxes[:, :2], corners[:2]), np.minimum(boxes[:, 2:], corners[2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    together = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(corners[2:] - corners[:2]) - shared
    overlaps: NDArray[np.float64] = shared / together
    return int(np.argmax(overlaps)) if overlaps.max(initial=0.0) >= SAME_FACE else None


def _with_box_grown(faces: Faces, place: int, box: Box) -> Faces:
    """With one face's box grown to hold this one as well: all of what somebody drew is masked."""
    boxes = faces.boxes.copy()
    boxes[place, :2] = np.minimum(boxes[place, :2], np.array(box[:2], np.float32))
    boxes[place, 2:] = np.maximum(boxes[place, 2:], np.array(box[2:], np.float32))
    return replace(faces, boxes=boxes)
