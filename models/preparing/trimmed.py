"""Makes and proves the networks for trimmed inputs, beside a prepared one. Nothing of their surgery is trusted here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import ModelProto

from models.proving.gate import faces
from models.proving.proof import ServingNetwork, batch_failure, proof_pictures
from models.proving.reference import Pixels, fitted, letterbox
from models.proving.runtime import open_session
from models.rewriting.black_edge import COLUMNS, ROWS, Edge, Untrimmable, with_black_edge
from models.rewriting.graphs import with_outputs
from models.served.facts import TRIMMED_NAMES
from models.served.trim import SIDE_MIN, Trimming, part_of
from shared.canary import canary_picture
from shared.faces import FloatArray

#: Pixels of black between a picture and the deepest cell that a cut spoils, and between what is answered for and the
#: square's own edge. With less, faces of photographs move by more than 0.5 px (DECISIONS.md, "The black beside a
#: picture").
CLEAR, FAR = 96, 64
#: What of a face trimming may change on the canary picture: the reference's own promise.
SCORE_CHANGE_MAX, BOX_CHANGE_MAX_PX = 0.002, 0.5
#: The same where a drawn face fills the picture and its edge cuts it: of 500M and 2.5G none changes by more than 0.05,
#: and a network that feels the black over longer ways has faces there that the whole square does not have.
NEAR_SCORE_CHANGE_MAX = 0.1
#: Faces looked at, and the least their partners may score.
CONFIDENCE, PARTNER_CONFIDENCE = 0.3, 0.2
#: Black is measured in the middle of this many pixels of it, where no edge is felt.
_ENDLESS = 2048


def add_trimmed(path: Path, side: int, threads: int) -> Trimming:
    """Writes both networks beside the prepared one at `path`, for squares of `side`. Raises Untrimmable."""
    if side < SIDE_MIN:
        raise Untrimmable(f"inputs of less than {SIDE_MIN} pixels cost little")
    served = onnx.load(path)
    edge = Edge()
    for axis, name in zip((ROWS, COLUMNS), TRIMMED_NAMES, strict=True):
        trimmed, edge = with_black_edge(served, axis, partial(black_features, axis=axis, side=side), CLEAR)
        onnx.save(trimmed, path.with_name(name))
    margin = CLEAR + edge.spoiled_px - edge.added_px
    trimming = Trimming(margin=margin, square=side, added=edge.added_px, far=FAR)
    whole = ServingNetwork(path, threads)
    networks = [ServingNetwork(path.with_name(name), threads, trimming) for name in TRIMMED_NAMES]
    for network, picture in zip(networks, _wide_and_tall(), strict=True):
        _prove(whole, network, picture, side, trimming)
    for pictures in _enlarged():
        for network, picture in zip(networks, pictures, strict=True):
            prove_near(whole, network, picture, side, trimming)
    return trimming


def black_features(served: ModelProto, names: Sequence[str], *, axis: int, side: int) -> dict[str, FloatArray]:
    """What these tensors of the network hold where all is black along `axis`, on a square of `side` across it.

    (1, C, 1, W) for the axis of rows, (1, C, H, 1) for that of columns.
    """
    if not names:
        return {}
    size = (_ENDLESS, side) if axis == ROWS else (side, _ENDLESS)
    wider = with_outputs(served, list(names)).SerializeToString()
    found = open_session(wider, threads=1).run(list(names), {"images": np.zeros((1, *size, 3), np.uint8)})
    return {name: values.take([values.shape[axis] // 2], axis) for name, values in zip(names, found, strict=True)}


def _wide_and_tall() -> tuple[Pixels, Pixels]:
    """The canary picture cut to 9:16 of its width, and to 9:16 of its height."""
    picture = canary_picture()
    height, width = picture.shape[:2]
    rows, columns = width * 9 // 16, height * 9 // 16
    top, left = (height - rows) // 2, (width - columns) // 4
    return np.ascontiguousarray(picture[top : top + rows]), np.ascontiguousarray(picture[:, left : left + columns])


def _prove(whole: ServingNetwork, trimmed: ServingNetwork, picture: Pixels, side: int, trimming: Trimming) -> None:
    """The same faces in the same places, whatever the neighbours. Raises Untrimmable."""
    height, width = part_of(*fitted(picture, side), side, trimming)
    if (height, width) == (side, side):
        raise Untrimmable(f"a margin of {trimming.margin} pixels leaves too little of {side} to be worth it")
    canvas, _ = letterbox(picture, side)
    part = np.ascontiguousarray(canvas[:height, :width])
    expected = faces(whole, canvas, CONFIDENCE)
    try:
        found = faces(trimmed, part, PARTNER_CONFIDENCE)
    except Exception as error:  # whatever onnxruntime raises for a graph that cannot be run
        raise Untrimmable(f"its trimmed form fails: {str(error).splitlines()[0]}") from error
    if not len(expected):
        raise Untrimmable("it finds no face on the canary picture to prove it with")
    score, box = largest_change(expected, found)
    # Written so that a NaN fails.
    if not (score <= SCORE_CHANGE_MAX and box <= BOX_CHANGE_MAX_PX):
        raise Untrimmable(f"a face of the canary picture would change by {score:.4f} in score and {box:.2f} px")
    pictures = [part, *proof_pictures(picture, height, width)]
    if words := batch_failure(trimmed, pictures, [trimmed.heads(one[None])[0] for one in pictures]):
        raise Untrimmable(words)


def _enlarged() -> Iterator[tuple[Pixels, Pixels]]:
    """The canary picture's quarters and the corners of its sixteenths, as large as the whole: wide, and on its side."""
    picture = canary_picture()
    height, width = picture.shape[:2]
    seen = width * 9 // 16
    for parts in (2, 4):
        rows, columns = height // parts, width // parts
        for top in (0, height - rows):
            for left in (0, width - columns):
                part = picture[top : top + rows, left : left + columns]
                large = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
                wide = large[(height - seen) // 2 :][:seen]
                yield np.ascontiguousarray(wide), np.ascontiguousarray(wide.transpose(1, 0, 2))


def prove_near(whole: ServingNetwork, trimmed: ServingNetwork, picture: Pixels, side: int, trimming: Trimming) -> None:
    """The same large faces either way. Raises Untrimmable."""
    height, width = part_of(*fitted(picture, side), side, trimming)
    canvas, _ = letterbox(picture, side)
    all_seen = faces(whole, canvas, PARTNER_CONFIDENCE)
    part_seen = faces(trimmed, np.ascontiguousarray(canvas[:height, :width]), PARTNER_CONFIDENCE)
    changes = largest_change(strong(all_seen), part_seen), largest_change(strong(part_seen), all_seen)
    if not all(score <= NEAR_SCORE_CHANGE_MAX for score, _ in changes):
        raise Untrimmable("large faces at a picture's edge would change with it")


def strong(packed: FloatArray) -> FloatArray:
    """Of packed faces those of CONFIDENCE and more."""
    kept: FloatArray = packed[packed[:, 4] >= np.float32(CONFIDENCE)]
    return kept


def largest_change(expected: FloatArray, found: FloatArray) -> tuple[float, float]:
    """How far the scores and the boxes of packed faces are from those of the nearest found; infinite without any."""
    if not len(expected):
        return 0.0, 0.0
    if not len(found):
        return float("inf"), float("inf")
    apart = np.abs(expected[:, None, :4] - found[None, :, :4]).max(axis=2)
    nearest = apart.argmin(axis=1)
    return float(np.abs(expected[:, 4] - found[nearest, 4]).max()), float(apart.min(axis=1).max())
