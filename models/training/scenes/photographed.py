"""Crops of real photographs as scenes: alone knows how near, how leaning and how worn."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from models.training.material.folder import Floats, Picture
from models.training.material.photographs import Photograph
from models.training.scenes import worn
from models.training.scenes.composer import Canvas, Matrix, map_box, map_points, own_oval, similarity
from models.training.scenes.sprites import pyramid

SIZES = (10.0, 450.0)  # pixels of the face about which a crop lies, root of its area
NEAREST = 2.5  # times a photograph is enlarged at most
LEAST = 8.0  # pixels: a face that small in the photograph itself shows too little to be taught
ABOUT_A_PLACE = 0.8  # of the crops: about a face, or what was wrongly taken for one; the others lie anywhere
# Weights in that choice of a face that the teacher is sure of, and of what is none; what it misses weighs 1 more.
SEEN, DENIED = 0.1, 0.2
FOURS = 0.4  # of the scenes are four crops side by side, so that small faces do not lie in empty pictures
WORN, MASKED = 0.4, 0.75  # of the faces that get something to wear; of these with a mask
SPINS = (5.0, 5.0, 14.0, 25.0)  # degrees, spread of a crop's lean


@dataclass(frozen=True)
class Shot:
    """A photograph with its halvings, places (P, 4) worth a crop, and how often they are to be the middle of one."""

    levels: list[Picture]
    known: Photograph
    places: Floats
    weights: list[float]

    @cached_property
    def weight(self) -> float:
        """How often the photograph is to be chosen: one hard face in it is enough."""
        return max(self.weights, default=SEEN)


def shot(photograph: Photograph) -> Shot:
    """Ready to be cropped. Nine of ten faces are easy: those that the teacher misses come as often as all these."""
    weights = [SEEN + 1 - float(sure) for sure in photograph.sure] + [DENIED] * len(photograph.denied)
    return Shot(pyramid(photograph.picture), photograph, np.concatenate([photograph.boxes, photograph.denied]), weights)


def size_of(box: Floats) -> float:
    """Root of the area."""
    return math.sqrt(max(1.0, float((box[2] - box[0]) * (box[3] - box[1]))))


def frame(one: Shot, rng: random.Random, side: int) -> Matrix:
    """The 2x3 map of a photograph into a crop of side x side: about a face of some size, or anywhere."""
    height, width = one.levels[0].shape[:2]
    if len(one.places) and rng.random() < ABOUT_A_PLACE:
        (box,) = rng.choices(one.places, one.weights)
        most = min(SIZES[1], 0.8 * side, NEAREST * size_of(box))
        size = math.exp(rng.uniform(math.log(SIZES[0]), math.log(max(SIZES[0] + 1, most))))
        source = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
        target = rng.uniform(0.1, 0.9) * side, rng.uniform(0.1, 0.9) * side
        return similarity(source, target, size / size_of(box), rng, rng.choice(SPINS))
    scale = side / min(height, width) * math.exp(rng.uniform(-0.4, 0.7))
    source = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
    return similarity(source, (side / 2, side / 2), min(scale, NEAREST), rng, rng.choice(SPINS))


def settled(matrix: Matrix, width: int, height: int, side: int) -> Matrix:
    """The map moved so that the photograph fills the crop, or lies within it where it is smaller."""
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix[:, :2].T + matrix[:, 2]
    low, high = corners.min(axis=0), corners.max(axis=0)
    fills = high - low >= side
    least, most = np.where(fills, side - high, -low), np.where(fills, -low, side - high)
    moved = matrix.copy()
    moved[:, 2] += np.clip(0, least, most)
    return moved


def warped(levels: list[Picture], matrix: Matrix, side: int, around: float) -> Picture:
    """(side, side, 3) uint8: the photograph under `matrix`, evenly gray around it."""
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    level = max(0, min(len(levels) - 1, math.floor(math.log2(1 / scale) - 0.2)))
    local = matrix.copy()
    local[:, :2] *= 2.0**level
    crop = cv2.warpAffine(levels[level], local, (side, side), flags=cv2.INTER_LINEAR, borderValue=(around,) * 3)
    return np.asarray(crop, np.uint8)


def mapped(boxes: Floats, matrix: Matrix, side: int) -> list[Floats]:
    """Those of the boxes that reach into the crop, as `map_box` has them."""
    own = [map_box(box, matrix) for box in boxes]
    return [box for box in own if box[2] > 0 and box[3] > 0 and box[0] < side and box[1] < side]


def crop(one: Shot, rng: random.Random, side: int) -> Canvas:
    """A crop of side x side pixels; far faces first, so that near ones own what they cover."""
    height, width = one.levels[0].shape[:2]
    matrix = settled(frame(one, rng, side), width, height, side)
    around = 0.0 if rng.random() < 0.7 else rng.uniform(0, 255)
    canvas = Canvas.of(warped(one.levels, matrix, side, around))
    known = one.known
    canvas.ignored = mapped(known.doubtful, matrix, side)
    canvas.regions = mapped(known.regions, matrix, side)
    for place in sorted(range(len(known.boxes)), key=lambda place: size_of(known.boxes[place])):
        box = map_box(known.boxes[place], matrix)
        if box[2] <= 0 or box[3] <= 0 or box[0] >= side or box[1] >= side:
            continue
        if size_of(known.boxes[place]) < LEAST:
            canvas.ignored.append(box)
            continue
        points = map_points(known.points[place], matrix)
        own_oval(canvas, box, points, matrix, known.boxes[place])
        if rng.random() < WORN:
            worn.dress(canvas.picture, rng, points, box, masked=rng.random() < MASKED)
    return canvas


def side_by_side(crops: list[Canvas], side: int) -> Canvas:
    """Four crops of half the side as one canvas."""
    whole = Canvas.of(np.empty((side, side, 3), np.uint8))
    half = side // 2
    for place, one in enumerate(crops):
        y, x = half * (place // 2), half * (place % 2)
        tile = slice(y, y + half), slice(x, x + half)
        whole.picture[tile] = one.picture
        whole.owner[tile] = np.where(one.owner > 0, one.owner + len(whole.boxes), 0)
        shift = np.array([x, y], np.float32)
        corner, far = np.tile(shift, 2), np.tile(shift + half, 2)
        whole.boxes += [np.clip(box + corner, corner, far) for box in one.boxes]
        whole.points += [points + shift for points in one.points]
        whole.ignored += [np.clip(box + corner, corner, far) for box in one.ignored]
        whole.regions += [np.clip(box + corner, corner, far) for box in one.regions]
    return whole


def chosen(shots: list[Shot], rng: random.Random, count: int) -> list[Shot]:
    """So many of them, by weight."""
    return rng.choices(shots, [one.weight for one in shots], k=count)


def photographed(shots: list[Shot], rng: random.Random, side: int) -> Canvas:
    """A scene of side x side pixels: one crop, or four."""
    if rng.random() < FOURS:
        return side_by_side([crop(one, rng, side // 2) for one in chosen(shots, rng, 4)], side)
    (one,) = chosen(shots, rng, 1)
    return crop(one, rng, side)
