"""Decides which anchors learn which face: alone knows the ATSS rule.

ATSS (arXiv 1912.02424) over the nine nearest cells of each stride, as SCRFD
uses it; a face no anchor passes for gets its best one, so none is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.served.anchors import ANCHORS_PER_CELL, STRIDES
from models.training.network.anchors import ANCHOR_SIZES, all_centres, counts

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NOWHERE: Floats = np.zeros((0, 4), np.float32)
IGNORE_SCALE = 3.0  # an ignored face silences anchors within this factor of its size


@dataclass(frozen=True)
class Assignment:
    """anchors (P,) int64 that learn, faces (P,) int64 they learn, silent (Q,) int64 anchors."""

    anchors: Ints
    faces: Ints
    silent: Ints


def nearest_cells(boxes: Floats, height: int, width: int) -> Ints:
    """(N, 54) int64 anchor indices of the 3x3 nearest cells at each stride; -1 outside."""
    offset, parts = 0, []
    grid = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(1, 9, 2)
    for stride, count in zip(STRIDES, counts(height, width), strict=True):
        rows, columns = height // stride, width // stride
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2 / stride
        cell = np.round(centre).astype(np.int64)[:, None] + grid
        x, y = cell[..., 0], cell[..., 1]
        inside = (x >= 0) & (y >= 0) & (x < columns) & (y < rows)
        first = offset + (y * columns + x) * ANCHORS_PER_CELL
        pair = first[..., None] + np.arange(ANCHORS_PER_CELL)
        pair = np.where(inside[..., None], pair, -1)
        parts.append(pair.reshape(len(boxes), 9 * ANCHORS_PER_CELL))
        offset += count
    return np.concatenate(parts, axis=1)


@lru_cache(maxsize=8)
def anchor_boxes(height: int, width: int) -> Floats:
    """(anchors, 4) float32 squares in pixels, read-only: made once for each size."""
    centre, _ = all_centres(height, width)
    sizes = [
        np.tile(np.array(pair, np.float32), count // ANCHORS_PER_CELL)
        for pair, count in zip(ANCHOR_SIZES, counts(height, width), strict=True)
    ]
    half = np.concatenate(sizes)[:, None] / 2
    squares = np.concatenate([centre - half, centre + half], axis=1)
    squares.flags.writeable = False
    return squares


def paired_iou(a: Floats, b: Floats) -> Floats:
    """IoU of boxes (..., 4) with boxes that broadcast against them, no +1."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1)
    return np.asarray(shared / np.maximum(areas - shared, 1e-6), np.float32)


def assign(boxes: Floats, ignored: Floats, height: int, width: int, regions: Floats = NOWHERE) -> Assignment:
    """ATSS for faces (N, 4), ignored faces (M, 4) and regions (K, 4) of which nothing is known, in one picture."""
    squares = anchor_boxes(height, width)
    silent = np.nonzero(silence(ignored, squares) | inside(regions, squares))[0]
    if len(boxes) == 0:
        none = np.zeros(0, np.int64)
        return Assignment(none, none, silent)
    near = nearest_cells(boxes, height, width)
    valid = near >= 0
    candidates = squares[np.maximum(near, 0)]
    iou = np.where(valid, paired_iou(candidates, boxes[:, None]), 0)
    count = valid.sum(axis=1)
    mean = iou.sum(axis=1) / count
    spread = np.sqrt((np.where(valid, (iou - mean[:, None]) ** 2, 0)).sum(axis=1) / count)
    centre = (candidates[..., :2] + candidates[..., 2:]) / 2
    margin = np.concatenate([centre - boxes[:, None, :2], boxes[:, None, 2:] - centre], axis=-1)
    passes = valid & (iou >= (mean + spread)[:, None]) & (margin.min(axis=-1) > 0.01)
    # An anchor wanted by two faces goes to the one it covers better.
    best = np.zeros(len(squares), np.float32)
    owner = np.full(len(squares), -1, np.int64)
    face, slot = np.nonzero(passes)
    order = np.argsort(iou[face, slot], kind="stable")
    owner[near[face[order], slot[order]]] = face[order]
    best[near[face[order], slot[order]]] = iou[face[order], slot[order]]
    for lost in np.setdiff1d(np.arange(len(boxes)), owner):
        free = np.where(valid[lost] & (best[near[lost]] < 2), iou[lost], -1)
        place = near[lost, int(np.argmax(free))]
        owner[place], best[place] = lost, 2
    anchors = np.nonzero(owner >= 0)[0]
    return Assignment(anchors, owner[anchors], np.setdiff1d(silent, anchors))


def contained(squares: Floats, box: Floats) -> Bools:
    """(anchors,) whether an anchor's centre lies in a box (4,)."""
    x, y = (squares[:, 0] + squares[:, 2]) / 2, (squares[:, 1] + squares[:, 3]) / 2
    return (x >= box[0]) & (y >= box[1]) & (x <= box[2]) & (y <= box[3])


def silence(ignored: Floats, squares: Floats) -> Bools:
    """(anchors,) whether an anchor's centre lies in an ignored face of about its size."""
    side = squares[:, 2] - squares[:, 0]
    quiet = np.zeros(len(squares), bool)
    for box in ignored:
        size = float(np.sqrt(max(1.0, float((box[2] - box[0]) * (box[3] - box[1])))))
        within = contained(squares, box)
        quiet |= within & (side < size * IGNORE_SCALE) & (side > size / IGNORE_SCALE)
        quiet |= within & (side <= ANCHOR_SIZES[0][1]) & (size < ANCHOR_SIZES[0][0])
    return quiet


def inside(regions: Floats, squares: Floats) -> Bools:
    """(anchors,) whether an anchor's centre, of any size, lies in a region."""
    quiet = np.zeros(len(squares), bool)
    for region in regions:
        quiet |= contained(squares, region)
    return quiet
