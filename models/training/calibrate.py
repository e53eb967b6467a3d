"""Chooses what a score of 0.5 means: alone knows the validation scenes and the fit.

Scenes of held-out people before held-out backgrounds; per stride a scale and
shift of the logit, so that 0.5 is the best trade of missed and false faces.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.training import layouts
from models.training.anchors import STRIDES
from models.training.detect import Floats, Picture, decode, suppress
from models.training.material import Material
from models.training.measure import iou_table, pair_up
from models.training.network import Detector
from models.training.scenes import Composer, Scene, finish
from models.training.train import to_tensor

SIDE = 640
SCENES = (
    (layouts.crowd, 10),
    (layouts.mosaic, 10),
    (layouts.few, 12),
    (layouts.close_up, 24),
    (layouts.nobody, 12),
)
FLOOR = 0.05  # findings below this raw score are not looked at
SMALLEST = 12.0  # pixels: smaller validation faces neither count as found nor as missed
# The goal is 0.97 on photographs; composed scenes hold fewer traps than streets, so half of the errors are taken off.
# The cheapest price of a false alarm that reaches it is taken.
PRECISION = 0.985
PRICES = tuple(round(2 ** (i / 8), 3) for i in range(-8, 25))  # 0.5 to 8, in missed faces
ENOUGH_FACES = 8  # true findings a stride needs to be judged by itself
WARY = 0.2  # logits above the finer stride's cut, where it cannot be judged


@dataclass(frozen=True)
class Findings:
    """Raw findings on validation scenes: logits (N,), stride place (N,) 0..2, true (N,) 1 or 0."""

    logits: Floats
    places: Floats
    true: Floats
    faces: int


def validation_scenes(material: Material, sprites: Path | None = None, seed: int = 4242) -> list[Scene]:
    """The same scenes every time: composed ones, then the backgrounds as they are."""
    maker = Composer(material, seed, sprites)
    rng = random.Random(seed)
    scenes = [finish(kind(maker, rng, SIDE), rng) for kind, count in SCENES for _ in range(count)]
    for background in material.backgrounds:
        canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
        height, width = background.shape[:2]
        canvas[:height, :width] = background[:SIDE, :SIDE]
        none = np.zeros((0, 4), np.float32)
        scenes.append(Scene(canvas, none, np.zeros((0, 5, 2), np.float32), none))
    return scenes


def raw_heads(model: Detector, picture: Picture) -> list[Floats]:
    """Nine arrays of one (S, S, 3) picture, scores without calibration."""
    with torch.no_grad():
        logits, boxes, points = model(to_tensor(picture[None]))
    scores = [part.sigmoid() for part in logits]
    return [part[0].numpy() for part in (*scores, *boxes, *points)]


def size_of(boxes: Floats) -> Floats:
    """(N,) root of the area."""
    wide, high = (boxes[:, 2:] - boxes[:, :2]).T
    return np.asarray(np.sqrt(np.maximum(wide * high, 0)), np.float32)


def place_of(heads: list[Floats], scores: Floats) -> Floats:
    """Which stride each finding came from, by the order decode keeps."""
    counts = [int((heads[i][:, 0] >= np.float32(FLOOR)).sum()) for i in range(len(STRIDES))]
    assert sum(counts) == len(scores)
    return np.repeat(np.arange(len(STRIDES)), counts).astype(np.float32)


def collect(model: Detector, scenes: list[Scene]) -> Findings:
    """Every finding above FLOOR after NMS, true if it pairs with a face."""
    logits, places, true, faces = [], [], [], 0
    for scene in scenes:
        heads = raw_heads(model, scene.picture)
        boxes, scores, _ = decode(heads, SIDE, FLOOR)
        place = place_of(heads, scores)
        kept = suppress(boxes, scores)
        boxes, scores, place = boxes[kept], scores[kept], place[kept]
        large = size_of(scene.boxes) >= SMALLEST
        pairs = pair_up(boxes, scene.boxes)
        faces += int(large.sum())
        blind = np.concatenate([scene.boxes[~large], scene.ignored])
        near = iou_table(boxes, blind).max(axis=1) if len(blind) and len(boxes) else np.zeros(len(boxes))
        for index in range(len(boxes)):
            if index in pairs and not large[pairs[index]]:
                continue
            if index not in pairs and near[index] > 0.2:
                continue
            logits.append(math.log(scores[index] / max(1e-6, 1 - scores[index])))
            places.append(place[index])
            true.append(float(index in pairs))
    return Findings(np.array(logits, np.float32), np.array(places, np.float32), np.array(true, np.float32), faces)


def best_cut(logits: Floats, true: Floats, price: float) -> float:
    """The logit above which true findings outnumber false ones, at `price` each, the most."""
    order = np.argsort(-logits)
    gain = np.cumsum(np.where(true[order] > 0, 1.0, -price))
    top = int(np.argmax(gain))
    after = logits[order[min(top + 1, len(order) - 1)]]
    return float(logits[order[top]] + after) / 2


def slope_of(logits: Floats, true: Floats, cut: float) -> float:
    """Steepness of a logistic fit through 0.5 at `cut`, so that scores read as likelihoods."""
    steps = np.linspace(0.4, 3.0, 53)
    z = steps[:, None] * (logits - cut)[None]
    loss = np.logaddexp(0, np.where(true > 0, -z, z)).mean(axis=1)
    return float(steps[int(np.argmin(loss))])


def cuts_at(found: Findings, price: float) -> Floats:
    """(3,) the best cut of each stride; a stride with too few faces takes a wary guess."""
    cuts: list[float] = []
    for place in range(len(STRIDES)):
        mine = found.places == place
        scarce = found.true[mine].sum() < ENOUGH_FACES
        own = cuts[-1] + WARY if scarce and cuts else best_cut(found.logits[mine], found.true[mine], price)
        cuts.append(own)
    return np.array(cuts, np.float32)


def outcome(found: Findings, cuts: Floats) -> tuple[float, float]:
    """Recall and precision of the findings above their stride's cut."""
    passed = found.logits >= cuts[found.places.astype(int)]
    hits = float(found.true[passed].sum())
    return hits / max(1, found.faces), hits / max(1.0, float(passed.sum()))


def choose_cuts(found: Findings) -> tuple[float, Floats]:
    """The lowest of PRICES whose cuts reach PRECISION, and these cuts."""
    for price in PRICES:
        cuts = cuts_at(found, price)
        if outcome(found, cuts)[1] >= PRECISION:
            break
    return price, cuts


def calibrate(model: Detector, scenes: list[Scene]) -> dict[str, object]:
    """Sets the model's scale and shift; returns what was measured."""
    found = collect(model, scenes)
    price, cuts = choose_cuts(found)
    recall, precision = outcome(found, cuts)
    facts: dict[str, object] = {"faces": found.faces, "price": price}
    for place, stride in enumerate(STRIDES):
        mine = found.places == place
        slope = slope_of(found.logits[mine], found.true[mine], float(cuts[place]))
        model.score_scale[place], model.score_shift[place] = slope, -slope * float(cuts[place])
        facts[f"stride_{stride}"] = {"cut": round(float(cuts[place]), 3), "slope": round(slope, 3)}
    return facts | {"recall": round(recall, 4), "precision": round(precision, 4)}
