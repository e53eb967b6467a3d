"""The kinds of scene: alone knows their shares and how each is arranged.

Mosaics of photographs, crowds from back to front, close-ups that fill the
picture, and scenes with no face at all.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from models.training.material.folder import Floats
from models.training.scenes import worn
from models.training.scenes.composer import (
    Canvas,
    Composer,
    Matrix,
    lay_tile,
    map_box,
    map_points,
    own_oval,
    similarity,
)

Layout = Callable[[Composer, random.Random, int], Canvas]
FRONTS = 0.25  # of near people have one laid under the chin: a bow tie is mistaken for a mask
HELD = 0.06  # of near people hold a camera or a telephone before the face
KINDS = (
    "hand", "hand", "hand", "blob", "sign", "shape", "cloth", "cloth", "helmet", "front", "cartoon", "fruit",
    "device",
)  # fmt: skip


def scatter(maker: Composer, canvas: Canvas, rng: random.Random, size: float, count: int) -> None:
    """Clutter anywhere, about `size` pixels across."""
    side = canvas.owner.shape[0]
    for _ in range(count):
        place = rng.uniform(0, side), rng.uniform(0, side)
        maker.put_clutter(canvas, rng, place, size * math.exp(rng.gauss(0, 0.4)), rng.choice(KINDS))


def mosaic(maker: Composer, rng: random.Random, side: int) -> Canvas:
    """A grid of photographs, about a quarter of them without a face."""
    canvas = Canvas.of(np.empty((side, side, 3), np.uint8))
    finest = max(1, side // 34)
    count = min(finest, max(1, round(math.exp(rng.uniform(0, math.log(finest + 0.5))))))
    edges = [round(i * side / count) for i in range(count + 1)]
    spin = rng.choice((8.0, 14.0, 25.0))
    empty = rng.choice((0.1, 0.25, 0.5))
    for row in range(count):
        for column in range(count):
            tile = edges[column], edges[row], edges[column + 1], edges[row + 1]
            fill_tile(maker, canvas, rng, tile, spin, empty)
    if rng.random() < 0.35:
        scatter(maker, canvas, rng, side / count * 0.5, rng.randint(1, 1 + count))
    return canvas


def fill_tile(
    maker: Composer,
    canvas: Canvas,
    rng: random.Random,
    tile: tuple[int, int, int, int],
    spin: float,
    empty: float,
) -> None:
    """One photograph, with its face if it has one."""
    span = tile[2] - tile[0]
    middle = (tile[0] + tile[2]) / 2, (tile[1] + tile[3]) / 2
    if rng.random() < empty:
        levels = maker.any_empty(rng)
        height, width = levels[0].shape[:2]
        source = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
        scale = span / min(height, width) * math.exp(rng.uniform(0, 1.4))
        lay_tile(canvas, levels, similarity(source, middle, scale, rng, 10), tile)
        return
    photo = rng.choice(maker.photos)
    box = photo.box
    assert box is not None and photo.points is not None
    own = math.sqrt(float((box[2] - box[0]) * (box[3] - box[1])))
    size = min(span * 1.05, max(8.5, span * math.exp(rng.gauss(math.log(0.5), 0.35))))
    room = max(0.0, span - size) / 2 + 0.1 * size
    target = middle[0] + rng.uniform(-room, room), middle[1] + rng.uniform(-room, room)
    source = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
    matrix = similarity(source, target, size / own, rng, spin)
    lay_tile(canvas, photo.levels, matrix, tile)
    points = map_points(photo.points, matrix)
    own_oval_in(canvas, map_box(box, matrix), points, matrix, box, tile)
    worn.maybe_dress(canvas.picture[tile[1] : tile[3], tile[0] : tile[2]], rng, points - tile[:2])


def own_oval_in(
    canvas: Canvas,
    box: Floats,
    points: Floats,
    matrix: Matrix,
    source: Floats,
    tile: tuple[int, int, int, int],
) -> None:
    """As own_oval, but the face owns nothing outside its tile."""
    x1, y1, x2, y2 = tile
    margin = int(max(box[2] - box[0], box[3] - box[1]))
    rows = slice(max(0, y1 - margin), y2 + margin)
    columns = slice(max(0, x1 - margin), x2 + margin)
    before = canvas.owner[rows, columns].copy()
    own_oval(canvas, box, points, matrix, source)
    inside = canvas.owner[y1:y2, x1:x2].copy()
    canvas.owner[rows, columns] = before
    canvas.owner[y1:y2, x1:x2] = inside


def crowd(maker: Composer, rng: random.Random, side: int) -> Canvas:
    """People in rows, the far and small ones first, nearer ones over them."""
    canvas = Canvas.of(maker.backdrop(rng, side))
    far = rng.uniform(8.5, 22) * (side / 320) ** 0.5
    near = far * math.exp(rng.uniform(0.2, 1.8))
    top, bottom = side * rng.uniform(0.0, 0.4), side * rng.uniform(0.9, 1.15)
    backs, hands = rng.choice((0.05, 0.15, 0.35)), rng.choice((0.0, 0.2, 0.6))
    dense, spin = rng.uniform(0.8, 1.7), rng.choice((6.0, 10.0, 18.0))
    left, y = int(110 * (side / 320) ** 2), top
    while y < bottom and left > 0:
        depth = (y - top) / max(1.0, bottom - top)
        size = far + (near - far) * depth**1.3
        x = rng.uniform(-1, 1) * size
        while x < side + size / 2 and left > 0:
            own = size * math.exp(rng.gauss(0, 0.13))
            place = x, y + rng.gauss(0, 0.25) * size
            if rng.random() < backs:
                maker.put_face(canvas, rng, rng.choice(maker.backs), place, own, spin)
            else:
                maker.put_person(canvas, rng, place, own, spin)
            if rng.random() < hands:
                offset = place[0] + rng.gauss(0, 1) * own, place[1] - rng.uniform(-0.5, 1.5) * own
                kind = "hand" if rng.random() < 0.7 else rng.choice(KINDS)
                maker.put_clutter(canvas, rng, offset, own * rng.uniform(0.9, 2.2), kind)
            x += own * rng.uniform(0.9, 2.0) * dense
            left -= 1
        y += size * rng.uniform(0.8, 1.6) * dense
    return canvas


def few(maker: Composer, rng: random.Random, side: int) -> Canvas:
    """One to six people of any size before a backdrop."""
    canvas = Canvas.of(maker.backdrop(rng, side))
    if rng.random() < 0.5:
        scatter(maker, canvas, rng, side * rng.uniform(0.05, 0.4), rng.randint(1, 10))
    sizes = sorted(math.exp(rng.uniform(math.log(12), math.log(side * 0.7))) for _ in range(rng.randint(1, 6)))
    for size in sizes:
        place = rng.uniform(0.05, 0.95) * side, rng.uniform(0.1, 0.9) * side
        maker.put_person(canvas, rng, place, size, rng.choice((8.0, 25.0)))
        if rng.random() < FRONTS:
            maker.put_front(canvas, rng, place, size)
        if rng.random() < HELD:
            maker.put_held(canvas, rng, place, size)
        if rng.random() < 0.3:
            near = place[0] + rng.gauss(0, 0.6) * size, place[1] + rng.gauss(0, 0.6) * size
            maker.put_clutter(canvas, rng, near, size * rng.uniform(0.3, 1.0), rng.choice(KINDS))
    return canvas


def lay_portrait(maker: Composer, canvas: Canvas, rng: random.Random, target: tuple[float, float], size: float) -> None:
    """A whole photograph, its face about `target`, sized by root of area in pixels."""
    side = canvas.owner.shape[0]
    photo = rng.choice(maker.photos)
    box = photo.box
    assert box is not None and photo.points is not None
    own = math.sqrt(float((box[2] - box[0]) * (box[3] - box[1])))
    source = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
    matrix = similarity(source, target, size / own, rng, 12)
    lay_tile(canvas, photo.levels, matrix, (0, 0, side, side))
    points = map_points(photo.points, matrix)
    own_oval(canvas, map_box(box, matrix), points, matrix, box)
    worn.maybe_dress(canvas.picture, rng, points)


def close_up(maker: Composer, rng: random.Random, side: int) -> Canvas:
    """One face that fills a third of the picture to more than all of it, as photographed or turned."""
    size = side * math.exp(rng.uniform(math.log(0.3), math.log(1.0)))
    target = side / 2 + rng.gauss(0, 0.1) * side, side / 2 + rng.gauss(0, 0.1) * side
    canvas = Canvas.of(np.empty((side, side, 3), np.uint8))
    if rng.random() < 0.5:
        canvas = Canvas.of(maker.backdrop(rng, side))
        maker.put_person(canvas, rng, target, size, 16)
    else:
        lay_portrait(maker, canvas, rng, target, size)
    if rng.random() < FRONTS:
        maker.put_front(canvas, rng, target, size)
    if rng.random() < HELD:
        maker.put_held(canvas, rng, target, size)
    if rng.random() < 0.2:
        scatter(maker, canvas, rng, size * 0.3, rng.randint(1, 3))
    for _ in range(rng.choice((0, 0, 0, 1, 2))):  # hands as large as the head, beside and below it
        beside = (
            target[0] + rng.choice((-1, 1)) * rng.uniform(0.5, 1.3) * size,
            target[1] + rng.uniform(-0.2, 1.2) * size,
        )
        maker.put_clutter(canvas, rng, beside, size * rng.uniform(0.6, 1.4), "hand")
    # Photographs are often letterboxed on black; the detector meets that border.
    if rng.random() < 0.3:
        cut = int(side * rng.uniform(0.6, 0.95))
        part = canvas.picture[cut:], canvas.owner[cut:]
        if rng.random() < 0.5:
            part = canvas.picture[:, cut:], canvas.owner[:, cut:]
        part[0][:], part[1][:] = 0, 0
    return canvas


def nobody(maker: Composer, rng: random.Random, side: int) -> Canvas:
    """Scenes that hold nothing to find."""
    canvas = Canvas.of(maker.backdrop(rng, side))
    if rng.random() < 0.7:
        scatter(maker, canvas, rng, side * math.exp(rng.uniform(-3.5, -0.7)), rng.randint(3, 40))
    if rng.random() < 0.4:
        size = math.exp(rng.uniform(math.log(10), math.log(side / 3)))
        for _ in range(rng.randint(1, 12)):
            place = rng.uniform(0, 1) * side, rng.uniform(0, 1) * side
            maker.put_face(canvas, rng, rng.choice(maker.backs), place, size, 15)
    return canvas


SMALL: tuple[tuple[float, Layout], ...] = (
    (0.32, mosaic), (0.38, crowd), (0.15, few), (0.06, close_up), (0.09, nobody),
)  # fmt: skip
LARGE: tuple[tuple[float, Layout], ...] = (
    (0.20, mosaic), (0.10, crowd), (0.37, few), (0.27, close_up), (0.06, nobody),
)  # fmt: skip


def choose(rng: random.Random, side: int) -> Layout:
    """A layout by the shares for canvases of this side."""
    shares = SMALL if side < 448 else LARGE
    return rng.choices([kind for _, kind in shares], [share for share, _ in shares])[0]


def compose(maker: Composer, rng: random.Random, side: int) -> Canvas:
    """One scene of side x side pixels, not yet spoiled."""
    return choose(rng, side)(maker, rng, side)
