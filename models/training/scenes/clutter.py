"""Draws what is not a face: alone knows lettering, shapes, cloth, helmets, facades and empty scenes.

Hard negatives by procedure, because street scenes alarm a young detector with
hands, clothes and signs, and the photographs at hand show few of them.
"""

from __future__ import annotations

import math
import random

import cv2
import numpy as np

from models.training.material.folder import Material, Picture, Portrait
from models.training.scenes import garments, hands
from models.training.scenes.cartoons import cartoon
from models.training.scenes.devices import device
from models.training.scenes.fruit import fruit, heap
from models.training.scenes.garments import colour

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789&%#@!?.:;"
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
)


def word(rng: random.Random) -> str:
    """A few random letters."""
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 10)))


def skin_patch(portrait: Portrait, side: int) -> Picture:
    """(side, side, 3) uint8 of cheek and nose between eyes and mouth."""
    points = portrait.points
    x1, x2 = sorted((float(points[0, 0]), float(points[2, 0])))
    y1 = float(points[0, 1] + points[1, 1]) / 2
    y2 = float(points[3, 1] + points[4, 1]) / 2
    y1, y2 = y1 + 0.35 * (y2 - y1), y1 + 0.8 * (y2 - y1)
    crop = portrait.picture[int(y1) : int(y2) + 2, int(x1) : int(x2) + 2]
    return np.asarray(cv2.resize(crop, (side, side)), np.uint8)


def blob(rng: random.Random, skin: Picture) -> Picture:
    """(96, 96, 4) uint8 BGRA: a shaded oval of skin with no features: elbow, knee, shoulder."""
    side = skin.shape[0]
    mask = np.zeros((side, side), np.uint8)
    axes = int(side * rng.uniform(0.2, 0.45)), int(side * rng.uniform(0.25, 0.48))
    cv2.ellipse(mask, (side // 2, side // 2), axes, rng.uniform(0, 180), 0, 360, 255, -1)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    light = 1 + rng.uniform(-0.8, 0.8) * (x - 0.5) + rng.uniform(-0.8, 0.8) * (y - 0.5)
    shaded = np.clip(skin * light[..., None], 0, 255).astype(np.uint8)
    for _ in range(rng.choice((0, 0, 1, 2))):
        start = rng.randrange(side), rng.randrange(side)
        dark = tuple(float(v) * 0.5 for v in skin[0, 0])
        cv2.line(shaded, start, (side // 2, side // 2), dark, rng.randint(1, 5), cv2.LINE_AA)
    return np.dstack([shaded, cv2.GaussianBlur(mask, (5, 5), 0)])


def sign(rng: random.Random) -> Picture:
    """(96, 96, 4) uint8 BGRA: lettering, on a plate or cut out."""
    side = 96
    plate = np.full((side, side, 3), colour(rng), np.uint8)
    mask = np.zeros((side, side), np.uint8)
    solid = rng.random() < 0.6
    if solid:
        cv2.rectangle(mask, (4, rng.randint(4, 36)), (91, rng.randint(60, 91)), 255, -1)
    ink = colour(rng)
    for row in range(rng.randint(1, 4)):
        place = rng.randint(-8, 20), 26 + row * 20
        look = rng.choice(FONTS), rng.uniform(0.5, 1.6)
        text, thick = word(rng), rng.randint(1, 4)
        cv2.putText(plate, text, place, *look, ink, thick, cv2.LINE_AA)
        if not solid:
            cv2.putText(mask, text, place, *look, 255, thick, cv2.LINE_AA)
    return np.dstack([plate, mask])


def shape(rng: random.Random) -> Picture:
    """(96, 96, 4) uint8 BGRA: rings, wheels, buttons, boxes, stars, stripes."""
    side = 96
    plate = np.full((side, side, 3), colour(rng), np.uint8)
    mask = np.zeros((side, side), np.uint8)
    middle = side // 2, side // 2
    kind = rng.randrange(4)
    if kind == 0:
        axes = rng.randint(20, 46), rng.randint(20, 46)
        cv2.ellipse(mask, middle, axes, rng.uniform(0, 180), 0, 360, 255, -1)
        for radius in sorted(rng.sample(range(3, 44), rng.randint(0, 4)), reverse=True):
            cv2.circle(plate, middle, radius, colour(rng), rng.choice((-1, 1, 2, 4)), cv2.LINE_AA)
    elif kind == 1:
        corners = np.array([[rng.randint(0, 95), rng.randint(0, 95)] for _ in range(rng.randint(3, 7))])
        cv2.fillPoly(mask, [cv2.convexHull(corners)], 255, cv2.LINE_AA)
    elif kind == 2:
        cv2.rectangle(mask, (rng.randint(2, 30), rng.randint(2, 30)), (93, 93), 255, -1)
        step, tilt = rng.randint(4, 20), rng.uniform(-60, 60)
        for x in range(-96, 192, step):
            end = int(x + tilt), side
            cv2.line(plate, (x, 0), end, colour(rng), max(1, step // 2), cv2.LINE_AA)
    else:
        start = rng.randint(0, 95), 0
        cv2.line(mask, start, (rng.randint(0, 95), 95), 255, rng.randint(3, 24), cv2.LINE_AA)
    light = np.linspace(rng.uniform(0.4, 1), rng.uniform(0.6, 1.2), side)[:, None, None]
    return np.dstack([np.clip(plate * light, 0, 255).astype(np.uint8), mask])


def cloth(rng: random.Random, parts: list[Picture]) -> Picture:
    """(96, 96, 4) uint8 BGRA: an oval or a polygon cut from a photograph's faceless part."""
    side, part = 96, rng.choice(parts)
    extent = min(part.shape[:2]) * rng.uniform(0.3, 1.0)
    x, y = (int(rng.uniform(0, length - extent)) for length in (part.shape[1], part.shape[0]))
    crop = part[y : y + int(extent), x : x + int(extent)]
    plate = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    mask = np.zeros((side, side), np.uint8)
    if rng.random() < 0.6:
        axes = rng.randint(24, 46), rng.randint(28, 46)
        cv2.ellipse(mask, (side // 2, side // 2), axes, rng.uniform(0, 180), 0, 360, 255, -1)
    else:
        corners = np.array([[rng.randint(0, 95), rng.randint(0, 95)] for _ in range(rng.randint(4, 8))])
        cv2.fillPoly(mask, [cv2.convexHull(corners)], 255, cv2.LINE_AA)
    blur = rng.choice((3, 5, 9))
    return np.dstack([plate, cv2.GaussianBlur(mask, (blur, blur), 0)])


def helmet(rng: random.Random) -> Picture:
    """(96, 96, 4) uint8 BGRA: a rounded shell with a shine and mostly a dark visor or a peak."""
    side, middle = 96, (48, 48)
    axes = rng.randint(30, 46), rng.randint(34, 46)
    mask = np.zeros((side, side), np.uint8)
    cv2.ellipse(mask, middle, axes, rng.uniform(-20, 20), 0, 360, 255, -1)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    shine = rng.uniform(24, 72), rng.uniform(16, 56)
    light = 0.5 + rng.uniform(0.3, 0.9) * np.exp(-((x - shine[0]) ** 2 + (y - shine[1]) ** 2) / rng.uniform(200, 2000))
    shell = np.clip(np.array(colour(rng), np.float32) * light[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.8:
        dark, low = rng.uniform(5, 70), rng.randint(40, 64)
        visor = rng.randint(14, axes[0]), rng.randint(8, 24)
        cv2.ellipse(shell, (rng.randint(36, 60), low), visor, rng.uniform(-25, 25), 0, 360, (dark,) * 3, -1)
        glint, place = rng.uniform(dark, 220), (rng.randint(34, 62), low - 4)
        cv2.ellipse(shell, place, (visor[0] // 2, 3), 0, 180, 360, (glint,) * 3, 1, cv2.LINE_AA)
    return np.dstack([shell, cv2.GaussianBlur(mask, (3, 3), 0)])


def bank(material: Material, seed: int, each: int = 160) -> dict[str, list[Picture]]:
    """Drawn cut-outs by kind, each (S, S, 4) uint8 BGRA; hands only where the material has their mesh."""
    rng = random.Random(seed)
    skins = [skin_patch(rng.choice(material.portraits), 96) for _ in range(3 * each)]
    parts = bare_parts(material.portraits) + material.backgrounds
    drawn = {
        "blob": [blob(rng, skin) for skin in skins[:each]],
        "sign": [sign(rng) for _ in range(each)],
        "shape": [shape(rng) for _ in range(each)],
        "cloth": [cloth(rng, parts) for _ in range(3 * each)],
        "helmet": [helmet(rng) for _ in range(each)],
        "front": [garments.front(rng, 192) for _ in range(each)],
        "cartoon": [cartoon(rng) for _ in range(each)],
    }
    drawn["fruit"] = [fruit(rng) for _ in range(each)]
    drawn["device"] = [device(rng) for _ in range(each)]
    if material.hand is not None:
        drawn["hand"] = [hands.hand(material.hand, rng, skin) for skin in skins]
    return drawn


def facade(rng: random.Random, side: int) -> Picture:
    """(side, side, 3) uint8: a wall with rows of windows, whose dark pairs look like eyes."""
    warm = rng.uniform(60, 190), rng.uniform(110, 215), rng.uniform(150, 250)  # plaster, near to skin
    wall = warm if rng.random() < 0.5 else colour(rng)
    page = np.full((side, side, 3), wall, np.uint8)
    step_x, step_y = (side / math.exp(rng.uniform(0.2, 2.4)) for _ in range(2))
    width, height = step_x * rng.uniform(0.3, 0.8), step_y * rng.uniform(0.25, 0.8)
    glass = tuple(rng.uniform(0, 90) + rng.uniform(-12, 12) for _ in range(3))
    boxes = rng.choice((0.0, 0.15, 0.5))
    frame, arched, panes = colour(rng), rng.random() < 0.25, rng.choice((0, 1, 1, 2))
    ledge, left = tuple(v * rng.uniform(0.7, 1.2) for v in wall), rng.uniform(-1, 0) * step_x
    for y in np.arange(rng.uniform(-1, 0) * step_y, side, step_y):
        cv2.line(page, (0, int(y + height * 1.15)), (side, int(y + height * 1.15)), ledge, max(1, int(step_y * 0.06)))
        for x in np.arange(left, side, step_x):
            if rng.random() < 0.12:
                continue
            start, end = (int(x), int(y)), (int(x + width), int(y + height))
            light = rng.uniform(0.7, 1.4)
            cv2.rectangle(page, start, end, tuple(v * light for v in glass), -1)
            if arched:
                middle, axes = ((start[0] + end[0]) // 2, start[1]), (int(width / 2), int(height / 3))
                cv2.ellipse(page, middle, axes, 0, 180, 360, glass, -1)
            for pane in range(1, panes + 1):
                across = int(x + width * pane / (panes + 1))
                cv2.line(page, (across, start[1]), (across, end[1]), frame, max(1, int(width * 0.05)))
            if rng.random() < boxes:  # a box below the window, as of an air conditioner
                near = int(x + width * rng.uniform(0, 0.6)), int(y + height * rng.uniform(0.6, 1.1))
                far = near[0] + int(width * 0.4), near[1] + int(height * 0.4)
                cv2.rectangle(page, near, far, colour(rng), -1)
    shade = np.linspace(rng.uniform(0.6, 1.1), rng.uniform(0.6, 1.1), side)[None, :, None]
    page = np.clip(page * shade, 0, 255).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(page, (0, 0), side * rng.choice((0.002, 0.006, 0.02))), np.uint8)


PROCEDURES = ("gradient", "noise", "stripes", "checks", "text", "facade", "heap")
# Small lettering is what a young detector most often takes for small faces, windows for large ones.
SHARES = (1, 1, 1, 1, 4, 5, 4)


def procedure(rng: random.Random, side: int, kind: str = "") -> Picture:
    """(side, side, 3) uint8: one of PROCEDURES, by SHARES where none is named."""
    kind = kind or rng.choices(PROCEDURES, SHARES)[0]
    if kind == "facade":
        return facade(rng, side)
    if kind == "heap":
        return heap(rng, side)
    if kind == "gradient":
        corners = np.array([[colour(rng), colour(rng)], [colour(rng), colour(rng)]], np.uint8)
        return np.asarray(cv2.resize(corners, (side, side), interpolation=cv2.INTER_LINEAR))
    if kind == "noise":
        cells = max(2, int(side / 2 ** rng.uniform(0, 6)))
        noise = np.random.default_rng(rng.getrandbits(32)).normal(
            rng.uniform(60, 190), rng.uniform(15, 70), (cells, cells, rng.choice((1, 3)))
        )
        noise = np.broadcast_to(np.clip(noise, 0, 255).astype(np.uint8), (cells, cells, 3))
        style = rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST))
        return np.asarray(cv2.resize(np.ascontiguousarray(noise), (side, side), interpolation=style))
    page = np.full((side, side, 3), colour(rng), np.uint8)
    step = rng.randint(4, 40)
    if kind == "stripes":
        ink, lean = colour(rng), rng.randint(-side, side)
        for x in range(-side, 2 * side, step):
            cv2.line(page, (x, 0), (x + lean, side), ink, max(1, step // 2), cv2.LINE_AA)
    elif kind == "checks":
        y, x = np.mgrid[:side, :side] // step
        page[(x + y) % 2 == 0] = colour(rng)
    else:
        size, ink = rng.uniform(0.3, 1.2), colour(rng)
        for y in range(0, side + 20, max(8, int(26 * size))):
            line = " ".join(word(rng) for _ in range(8))
            place, look = (rng.randint(-20, 4), y), (rng.choice(FONTS), size, ink)
            cv2.putText(page, line, place, *look, rng.choice((1, 1, 2, 3)), cv2.LINE_AA)
    return page


def bare_parts(portraits: list[Portrait]) -> list[Picture]:
    """Pieces of the portraits that show no face: walls, gardens, clothes, shoulders."""
    parts = []
    for portrait in portraits:
        box, picture = portrait.box, portrait.picture
        fw, fh = box[2] - box[0], box[3] - box[1]
        strips = (
            picture[:, : max(0, int(box[0] - 0.5 * fw))],
            picture[:, int(box[2] + 0.5 * fw) :],
            picture[int(box[3] + 0.15 * fh) :, :],
        )
        parts += [np.ascontiguousarray(s) for s in strips if min(s.shape[:2]) >= 80]
    return parts
