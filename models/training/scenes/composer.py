"""Composes training scenes: alone knows how faces, people and clutter are laid out.

Keeps, beside the canvas, a map of which face owns which pixel, so that a face
that later layers cover is ignored or dropped, and never taught as visible.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.landmarks import MIRRORED
from models.training.material.folder import Floats, Material, Picture
from models.training.scenes import cartoons, clutter, worn
from models.training.scenes.degrade import degrade
from models.training.scenes.heads import Heads
from models.training.scenes.rough import legible, rough
from models.training.scenes.sprites import Sprite, bust, people, pyramid, turned_bust

SMALLEST = 9.0  # pixels (root of the area): smaller faces are ignored, not taught
VISIBLE = 0.4  # share of the oval that must show for a face to be taught
NEAR = 96.0  # pixels (root of the area): larger faces are cut out and turned as finely as they were photographed
RENDERED = 0.2  # of the people are rendered from a mesh, where the material has one
PAGES = 200  # drawn pages (text, stripes, noise) to take tiles from
COMICS = 0.04  # of the backdrops are walls of cartoons, whose drawings are large enough to be known for such
ROUGH = 0.3  # of the pictures are taken by a poor lens, hand, lamp or sensor
HIDDEN = 0.12  # below this share a covered face is background
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """picture (S, S, 3) uint8 BGR; boxes (N, 4), points (N, 5, 2), ignored (M, 4), regions (K, 4), in pixels.

    points: NaN where nobody knows them. ignored: faces that are neither taught nor background. regions: places where
    anything may be. composed: False for a photograph as it was taken and for a drawn page.
    """

    picture: Picture
    boxes: Floats
    points: Floats
    ignored: Floats
    composed: bool = True
    regions: Floats = field(default_factory=lambda: np.zeros((0, 4), np.float32))


@dataclass
class Canvas:
    """A scene under construction; ignored and regions as in Scene, known before anything is judged."""

    picture: Picture
    owner: NDArray[np.int16]
    boxes: list[Floats] = field(default_factory=list)
    points: list[Floats] = field(default_factory=list)
    ignored: list[Floats] = field(default_factory=list)
    regions: list[Floats] = field(default_factory=list)

    @classmethod
    def of(cls, picture: Picture) -> Canvas:
        return cls(picture, np.zeros(picture.shape[:2], np.int16))


def similarity(
    source: tuple[float, float],
    target: tuple[float, float],
    scale: float,
    rng: random.Random,
    spin: float,
) -> Matrix:
    """2x3 map that takes `source` to `target`: scale, rotation, aspect, shear, mirror."""
    lean = math.radians(max(-50.0, min(50.0, rng.gauss(0, spin))))
    aspect, shear = math.exp(rng.gauss(0, 0.08)), rng.gauss(0, 0.07)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    turn = np.array([[math.cos(lean), -math.sin(lean)], [math.sin(lean), math.cos(lean)]])
    form = np.array([[mirror * aspect, shear], [0.0, 1 / aspect]]) * scale
    linear = turn @ form
    shift = np.array(target) - linear @ np.array(source)
    return np.hstack([linear, shift[:, None]])


def map_box(box: Floats, matrix: Matrix) -> Floats:
    """Box of the mapped oval inscribed in `box`, (4,) float32."""
    half = np.array([box[2] - box[0], box[3] - box[1]]) / 2
    centre = matrix[:, :2] @ [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] + matrix[:, 2]
    reach = np.hypot(matrix[:, 0] * half[0], matrix[:, 1] * half[1])
    return np.concatenate([centre - reach, centre + reach]).astype(np.float32)


def map_points(points: Floats, matrix: Matrix) -> Floats:
    """(5, 2) mapped; a mirrored face gets its left and right landmarks exchanged."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    if np.linalg.det(matrix[:, :2]) < 0:
        moved = moved[MIRRORED]
    return moved.astype(np.float32)


def own_oval(canvas: Canvas, box: Floats, points: Floats, matrix: Matrix, source: Floats) -> None:
    """Registers a face and marks the pixels of its oval as its own."""
    canvas.boxes.append(box)
    canvas.points.append(points)
    half = (source[2] - source[0]) / 2, (source[3] - source[1]) / 2
    turn = np.linspace(0, 2 * np.pi, 17)[:-1]
    ring = np.stack([np.cos(turn) * half[0], np.sin(turn) * half[1]], axis=1)
    ring += np.array([(source[0] + source[2]) / 2, (source[1] + source[3]) / 2])
    ring = ring @ matrix[:, :2].T + matrix[:, 2]
    cv2.fillPoly(canvas.owner, [np.round(ring).astype(np.int32)], len(canvas.boxes))


def paste(
    canvas: Canvas, levels: list[Picture], matrix: Matrix, rng: random.Random
) -> tuple[int, int, int, int] | None:
    """Blends a BGRA cut-out, or lays an opaque BGR one; its region x1 y1 x2 y2, or None outside."""
    side_y, side_x = canvas.owner.shape
    height, width = levels[0].shape[:2]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    x1, y1 = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    x2, y2 = np.minimum(np.ceil(corners.max(axis=0)), (side_x, side_y)).astype(int)
    if x2 - x1 < 2 or y2 - y1 < 2:
        return None
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    # Sometimes one level too fine: pictures reach the detector aliased.
    wanted = math.log2(1 / scale) - (0.9 if rng.random() < 0.5 else 0.2)
    level = max(0, min(len(levels) - 1, math.floor(wanted)))
    local = matrix.copy()
    local[:, :2] *= 2.0**level
    local[:, 2] -= (x1, y1)
    patch = cv2.warpAffine(levels[level], local, (int(x2 - x1), int(y2 - y1)), flags=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        gain = math.exp(rng.uniform(math.log(0.5), math.log(1.35)))
        patch[..., :3] = cv2.convertScaleAbs(patch[..., :3], alpha=gain, beta=rng.uniform(-10, 15))
    alpha = patch[..., 3]
    region = canvas.picture[y1:y2, x1:x2]
    weight = alpha[..., None].astype(np.int16)
    change = (patch[..., :3].astype(np.int16) - region) * (weight // 2) // 127
    np.add(region, change, out=region, casting="unsafe")
    canvas.owner[y1:y2, x1:x2][alpha > 127] = 0
    return int(x1), int(y1), int(x2), int(y2)


def lay_tile(canvas: Canvas, levels: list[Picture], matrix: Matrix, tile: tuple[int, int, int, int]) -> None:
    """Fills one tile x1 y1 x2 y2 with a BGR photograph under `matrix`, mirrored past its edges."""
    x1, y1, x2, y2 = tile
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    level = max(0, min(len(levels) - 1, math.floor(math.log2(1 / scale) - 0.2)))
    local = matrix.copy()
    local[:, :2] *= 2.0**level
    local[:, 2] -= (x1, y1)
    canvas.picture[y1:y2, x1:x2] = cv2.warpAffine(
        levels[level],
        local,
        (x2 - x1, y2 - y1),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    canvas.owner[y1:y2, x1:x2] = 0


STEADY = {"hand": 25, "device": 15}  # degrees, spread of how such clutter leans; others lean by 60


class Composer:
    """Makes scenes from one side of the split; `rng` decides everything."""

    def __init__(self, material: Material, seed: int, cache: Path | None = None) -> None:
        self.faces, self.backs = people(material.portraits, seed, cache)
        self.busts = [bust(one, own[0]) for one, own in zip(material.portraits, self.faces, strict=True)]
        self.photos = [Sprite(pyramid(p.picture), p.box, p.points) for p in material.portraits]
        bare = clutter.bare_parts(material.portraits)
        rng = random.Random(seed)
        self.pages = [pyramid(clutter.procedure(rng, 320)) for _ in range(PAGES)]
        self.empty = [pyramid(b) for b in material.backgrounds]
        self.bare = [pyramid(b) for b in bare] or self.empty
        self.heads = Heads(material.head, material.portraits, seed) if material.head is not None else None
        self.drawn = {kind: [pyramid(p) for p in pictures] for kind, pictures in clutter.bank(material, seed).items()}

    def any_empty(self, rng: random.Random) -> list[Picture]:
        """Pyramid of a face-free photograph or page."""
        return rng.choice(rng.choices((self.empty, self.bare, self.pages), (6, 4, 3))[0])

    def backdrop(self, rng: random.Random, side: int) -> Picture:
        """(side, side, 3) uint8 with no face."""
        if rng.random() < 0.15:
            return clutter.procedure(rng, side)
        if rng.random() < COMICS:
            return cartoons.comic(rng, side)
        levels = self.any_empty(rng)
        height, width = levels[0].shape[:2]
        scale = side / min(height, width) * math.exp(rng.uniform(-0.1, 1.0))
        target = side / 2, side / 2
        source = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height
        canvas = Canvas.of(np.empty((side, side, 3), np.uint8))
        lay_tile(canvas, levels, similarity(source, target, scale, rng, 4), (0, 0, side, side))
        return canvas.picture

    def put_person(
        self, canvas: Canvas, rng: random.Random, place: tuple[float, float], size: float, spin: float
    ) -> None:
        """Pastes a person whose face's centre lies at `place`, sized by root of area in pixels."""
        if size > NEAR and (self.heads is None or rng.random() > RENDERED):
            self.put_face(canvas, rng, turned_bust(rng.choice(self.busts), rng), place, size, spin)
            return
        if self.heads is not None and rng.random() < RENDERED:
            self.put_face(canvas, rng, self.heads.take(rng), place, size, spin)
            return
        own = rng.choice(self.faces)
        sprite = own[0] if rng.random() < 0.45 else rng.choice(own[1:])
        self.put_face(canvas, rng, sprite, place, size, spin)

    def put_face(
        self,
        canvas: Canvas,
        rng: random.Random,
        sprite: Sprite,
        place: tuple[float, float],
        size: float,
        spin: float,
    ) -> None:
        """Pastes a sprite; labels it if it has landmarks."""
        assert sprite.box is not None
        box = sprite.box
        own = math.sqrt(float((box[2] - box[0]) * (box[3] - box[1])))
        source = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
        matrix = similarity(source, place, size / own, rng, spin)
        if paste(canvas, sprite.levels, matrix, rng) is None or sprite.points is None:
            return
        points = map_points(sprite.points, matrix)
        own_oval(canvas, map_box(box, matrix), points, matrix, box)
        worn.maybe_dress(canvas.picture, rng, points)

    def put_front(self, canvas: Canvas, rng: random.Random, place: tuple[float, float], size: float) -> None:
        """Pastes a shirt front, mostly with a bow tie or a tie, under the chin of a face at `place`."""
        levels = rng.choice(self.drawn["front"])
        neck = place[0] + rng.gauss(0, 0.1) * size, place[1] + rng.uniform(0.5, 0.65) * size
        side = levels[0].shape[1]
        paste(canvas, levels, similarity((side / 2, 0), neck, size * rng.uniform(1.6, 2.6) / side, rng, 6), rng)

    def put_held(self, canvas: Canvas, rng: random.Random, place: tuple[float, float], size: float) -> None:
        """Pastes a camera or a telephone, and hands beside it, before a face at `place` or a little below."""
        wide = size * rng.uniform(0.7, 1.5)
        middle = place[0] + rng.gauss(0, 0.25) * size, place[1] + rng.uniform(-0.2, 0.6) * size
        self.put_clutter(canvas, rng, middle, wide, "device")
        for side in rng.sample((-0.5, 0.5), rng.randint(1, 2)):
            grip = middle[0] + side * wide, middle[1] + rng.uniform(0, 0.3) * wide
            self.put_clutter(canvas, rng, grip, size * rng.uniform(0.6, 1.1), "hand")

    def put_clutter(
        self, canvas: Canvas, rng: random.Random, place: tuple[float, float], size: float, kind: str
    ) -> None:
        """Pastes clutter about `size` pixels across; cloth where hands are not at hand or a cartoon would be tiny."""
        if kind == "cartoon" and size < cartoons.LEAST:
            kind = "cloth"
        levels = rng.choice(self.drawn.get(kind) or self.drawn["cloth"])
        middle = levels[0].shape[1] / 2, levels[0].shape[0] / 2
        matrix = similarity(middle, place, size / levels[0].shape[1], rng, STEADY.get(kind, 60))
        paste(canvas, levels, matrix, rng)


def second_view(canvas: Canvas, rng: random.Random) -> Canvas:
    """The same scene mirrored, nearer or farther, elsewhere: cheaper than a new one."""
    height, width = canvas.owner.shape
    scale = math.exp(rng.uniform(-0.15, 0.35))
    x = rng.uniform(*sorted((0.0, width - scale * width)))
    y = rng.uniform(*sorted((0.0, height - scale * height)))
    matrix = np.array([[-scale, 0, scale * (width - 1) + x], [0, scale, y]])
    size = (width, height)
    picture = cv2.warpAffine(canvas.picture, matrix, size, flags=cv2.INTER_LINEAR)
    owner = cv2.warpAffine(canvas.owner, matrix, size, flags=cv2.INTER_NEAREST)
    return Canvas(
        np.asarray(picture, np.uint8),
        np.asarray(owner, np.int16),
        [map_box(box, matrix) for box in canvas.boxes],
        [map_points(points, matrix) for points in canvas.points],
        [map_box(box, matrix) for box in canvas.ignored],
        [map_box(box, matrix) for box in canvas.regions],
    )


def finish(canvas: Canvas, rng: random.Random) -> Scene:
    """Judges each face by what shows of it, then spoils the picture."""
    height, width = canvas.owner.shape
    shown = np.bincount(canvas.owner.ravel(), minlength=len(canvas.boxes) + 1)[1:]
    boxes, points, ignored = [], [], within(canvas.ignored, width, height)
    for index, (box, marks) in enumerate(zip(canvas.boxes, canvas.points, strict=True)):
        area = float((box[2] - box[0]) * (box[3] - box[1]))
        share = float(shown[index]) / max(1.0, area * math.pi / 4)
        if share < HIDDEN:
            continue
        clipped = np.clip(box, 0, [width, height, width, height]).astype(np.float32)
        # Where an eye is not known, the middle of the face speaks for it.
        eyes = np.where(np.isnan(marks[:2]), (box[:2] + box[2:]) / 2, marks[:2])
        eyes = np.clip(np.round(eyes).astype(int), 0, [width - 1, height - 1])
        seen = (canvas.owner[eyes[:, 1], eyes[:, 0]] == index + 1).any()
        if math.sqrt(area) >= SMALLEST and share >= VISIBLE and seen:
            boxes.append(clipped)
            points.append(marks)
        else:
            ignored.append(clipped)
    sizes = [math.sqrt(float((b[2] - b[0]) * (b[3] - b[1]))) for b in boxes]
    typical = float(np.median(sizes)) if sizes else 40.0
    mild = degrade(rng, canvas.picture, typical)
    picture, sigma = rough(rng, mild, typical) if rng.random() < ROUGH else (mild, 0.0)
    scene = Scene(
        picture,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(points, np.float32).reshape(-1, 5, 2),
        np.array(ignored, np.float32).reshape(-1, 4),
        regions=np.array(within(canvas.regions, width, height), np.float32).reshape(-1, 4),
    )
    return scene if picture is mild else without_the_lost(scene, mild, sigma)


def without_the_lost(scene: Scene, clean: Picture, sigma: float) -> Scene:
    """The scene, in which faces nobody would know for such are ignored; it was `clean`, then blurred by `sigma`."""
    known = legible(scene.picture, clean, scene.boxes, sigma)
    lost = np.concatenate([scene.ignored, scene.boxes[~known]])
    return replace(scene, boxes=scene.boxes[known], points=scene.points[known], ignored=lost)


def within(boxes: list[Floats], width: int, height: int) -> list[Floats]:
    """What of the boxes lies in the picture; those outside are left out."""
    clipped = [np.clip(box, 0, [width, height, width, height]).astype(np.float32) for box in boxes]
    return [box for box in clipped if box[2] - box[0] > 1 and box[3] - box[1] > 1]
