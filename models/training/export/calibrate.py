"""Chooses what a score of 0.5 means: alone knows the validation scenes and the fit.

Scenes of held-out people before held-out backgrounds. Per stride a logistic fit of
what is a face, moved so that 0.5 is the least score that is precise enough.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.served.anchors import STRIDES
from models.training.judge.detect import Floats, Picture, decode, letterbox, suppress
from models.training.judge.measure import iou_table, pair_up
from models.training.material.folder import Material
from models.training.material.photographs import Photograph
from models.training.network.detector import Detector
from models.training.network.mirror import TwoViews
from models.training.run.assign import inside
from models.training.run.train import to_tensor
from models.training.scenes import clutter, layouts
from models.training.scenes.composer import Composer, Scene, finish

SIDE = 640
SCENES = (
    (layouts.crowd, 40),
    (layouts.mosaic, 40),
    (layouts.few, 48),
    (layouts.close_up, 96),
    (layouts.nobody, 200),
)
REAL = 4.0  # what a finding on a photograph weighs: there are far fewer of them than of those on composed scenes
FLOOR = 0.05  # findings below this raw score are not looked at
SMALLEST = 12.0  # pixels: smaller validation faces neither count as found nor as missed
PAGES = 120  # drawn pages, as of noise, text and windows
# Of each stride. Scenes are harder than photographs: of what is kept so, more is true there. Where no face is, in
# composed scenes full of hands and drawn faces, in photographs and on pages, a few may have a finding: the very worst
# of them says more about chance than about the weights. How many goes by what a false box of the stride covers.
PRECISION = 0.94
ALARMS = (40, 4, 2)
ENOUGH_FACES = 8  # true findings a stride needs to be fitted by itself; else it takes what the finer one has
PRIOR = 0.01  # weight that draws a fit to slope 1 and shift 0, where findings are too few to say
NEWTON_STEPS = 40
# Of a slope: with a steeper one the scores of sure faces are all the same float32 just below 1, and which of two boxes
# suppression keeps would go by rounding.
STEEPEST = 4.0


@dataclass(frozen=True)
class Findings:
    """Raw findings on validation scenes: logits (N,), stride place (N,) 0..2, true (N,) 1 or 0.

    alarms (N,): what it counts as an alarm: 0 in a scene with faces, 1 in one without. weights (N,): what it counts for
    where precision is asked.
    """

    logits: Floats
    places: Floats
    true: Floats
    alarms: Floats
    weights: Floats
    faces: int


def validation_scenes(material: Material, sprites: Path | None = None, seed: int = 4242) -> list[Scene]:
    """The same scenes every time: composed ones, the backgrounds as they are and as large as they are served, pages."""
    maker = Composer(material, seed, sprites)
    rng = random.Random(seed)
    scenes = [finish(kind(maker, rng, SIDE), rng) for kind, count in SCENES for _ in range(count)]
    for background in material.backgrounds:
        canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
        height, width = background.shape[:2]
        canvas[:height, :width] = background[:SIDE, :SIDE]
        scenes += [faceless(canvas), faceless(letterbox(background).shown(SIDE, SIDE))]
    kinds = clutter.PROCEDURES
    return scenes + [faceless(clutter.procedure(rng, SIDE, kinds[i % len(kinds)])) for i in range(PAGES)]


def photograph_scenes(photographs: list[Photograph]) -> list[Scene]:
    """Real photographs as they are served at one look."""
    scenes = []
    for one in photographs:
        canvas = letterbox(one.picture, SIDE)
        parts = (part * np.float32(canvas.scale) for part in (one.boxes, one.points, one.doubtful, one.regions))
        boxes, points, doubtful, regions = parts
        scenes.append(Scene(canvas.shown(SIDE, SIDE), boxes, points, doubtful, composed=False, regions=regions))
    return scenes


def faceless(picture: Picture) -> Scene:
    """A photograph or page with nothing to find in it."""
    none = np.zeros((0, 4), np.float32)
    return Scene(picture, none, np.zeros((0, 5, 2), np.float32), none, composed=False)


def raw_heads(model: nn.Module, picture: Picture) -> list[Floats]:
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


def collect(model: nn.Module, scenes: list[Scene]) -> Findings:
    """Every finding above FLOOR after NMS, true if it pairs with a face."""
    logits, places, true, alarms, weights, faces = [], [], [], [], [], 0
    for scene in scenes:
        known = len(scene.boxes) + len(scene.ignored) + len(scene.regions)
        alarm = 0.0 if known else 1.0
        heads = raw_heads(model, scene.picture)
        boxes, scores, _ = decode(heads, (SIDE, SIDE), FLOOR)
        place = place_of(heads, scores)
        kept = suppress(boxes, scores)
        boxes, scores, place = boxes[kept], scores[kept], place[kept]
        large = size_of(scene.boxes) >= SMALLEST
        pairs = pair_up(boxes, scene.boxes)
        faces += int(large.sum())
        blind = np.concatenate([scene.boxes[~large], scene.ignored])
        near = iou_table(boxes, blind).max(axis=1) if len(blind) and len(boxes) else np.zeros(len(boxes))
        hidden = inside(scene.regions, boxes)
        for index in range(len(boxes)):
            if index in pairs and not large[pairs[index]]:
                continue
            if index not in pairs and (near[index] > 0.2 or hidden[index]):
                continue
            logits.append(math.log(scores[index] / max(1e-6, 1 - scores[index])))
            places.append(place[index])
            true.append(float(index in pairs))
            alarms.append(alarm)
            weights.append(1.0 if scene.composed else REAL)
    floats = [np.array(values, np.float32) for values in (logits, places, true, alarms, weights)]
    return Findings(floats[0], floats[1], floats[2], floats[3], floats[4], faces)


Fit = tuple[float, float]  # slope and shift of a logit


def fitted(logits: Floats, true: Floats) -> list[float]:
    """The logistic fit of what is true (N,) by logits (N, K), by Newton's method: K slopes and the shift."""
    inputs = np.concatenate([logits, np.ones((len(logits), 1))], axis=1).astype(np.float64)
    prior = weights = np.append(np.ones(logits.shape[1]), 0.0)
    for _ in range(NEWTON_STEPS):
        likely = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (likely - true) + PRIOR * (weights - prior)
        curve = (inputs * (likely * (1 - likely))[:, None]).T @ inputs + PRIOR * np.eye(len(weights))
        weights = weights - np.linalg.solve(curve, slope)
    return [float(weight) for weight in weights]


def threshold_of(likely: Floats, true: Floats, alarms: Floats, weights: Floats, most: int) -> float:
    """Where findings are PRECISION true from there on, with no more than `most` alarms where no face is."""
    order = np.argsort(-likely, kind="stable")
    precision = np.cumsum((true * weights)[order]) / np.cumsum(weights[order])
    good = np.flatnonzero((precision >= PRECISION) & (np.cumsum(alarms[order]) <= most))
    if not good.size:
        return float(likely.max(initial=0.0)) + 1
    last = order[good[-1]]
    after = order[good[-1] + 1] if good[-1] + 1 < len(order) else last
    return float(likely[last] + likely[after]) / 2


def fits_of(found: Findings) -> list[Fit]:
    """Slope and shift of each stride's logits, so that 0 is its threshold."""
    fits: list[Fit] = []
    for place in range(len(STRIDES)):
        mine = found.places == place
        if found.true[mine].sum() < ENOUGH_FACES and fits:
            fits.append(fits[-1])
            continue
        slope, shift = fitted(found.logits[mine, None], found.true[mine])
        likely = np.asarray(found.logits[mine] * slope + shift, np.float32)
        shift -= threshold_of(likely, found.true[mine], found.alarms[mine], found.weights[mine], ALARMS[place])
        flatter = min(1.0, STEEPEST / slope)  # the same threshold, and the same order
        fits.append((slope * flatter, shift * flatter))
    return fits


def passed(found: Findings, fits: list[Fit]) -> NDArray[np.bool_]:
    """(N,) which findings score 0.5 or more."""
    slopes, shifts = np.array(fits).T
    places = found.places.astype(int)
    return np.asarray(found.logits * slopes[places] + shifts[places] >= 0)


def outcome(found: Findings, kept: NDArray[np.bool_]) -> tuple[float, float]:
    """Recall and precision of the findings that are kept."""
    hits = float(found.true[kept].sum())
    return hits / max(1, found.faces), hits / max(1.0, float(kept.sum()))


def calibrate(model: Detector, scenes: list[Scene]) -> dict[str, object]:
    """Sets the model's scale and shift; returns what was measured."""
    found = collect(TwoViews(model), scenes)
    fits = fits_of(found)
    recall, precision = outcome(found, passed(found, fits))
    facts: dict[str, object] = {"faces": found.faces}
    for place, (stride, (slope, shift)) in enumerate(zip(STRIDES, fits, strict=True)):
        model.score_scale[place], model.score_shift[place] = slope, shift
        facts[f"stride_{stride}"] = {"slope": round(slope, 3), "shift": round(shift, 3)}
    return facts | {"recall": round(recall, 4), "precision": round(precision, 4)}
