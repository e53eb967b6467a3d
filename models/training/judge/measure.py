"""Compares found faces with true ones: alone knows the measure of the model card. Pure functions on boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
ENOUGH = 0.4  # IoU that makes a finding the same face


@dataclass(frozen=True)
class Verdict:
    """One photograph judged, N true faces and F findings.

    sizes: (N,) and finding_sizes: (F,), root of the area in pixels of the canvas; found: (N,); false: (F,) findings
    that are no face; partners: found face -> its finding, by index.
    """

    sizes: Floats
    found: Flags
    finding_sizes: Floats
    false: Flags
    partners: dict[int, int]


def iou_table(a: Floats, b: Floats) -> Floats:
    """(N, M) IoU of boxes (N, 4) and (M, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = np.prod(a[:, 2:] - a[:, :2], axis=1)[:, None] + np.prod(b[:, 2:] - b[:, :2], axis=1)
    return np.asarray(shared / np.maximum(areas - shared, 1e-9), np.float32)


def pair_up(findings: Floats, truth: Floats) -> dict[int, int]:
    """Finding -> true face, one to one, best overlap first, at least ENOUGH."""
    if len(findings) == 0 or len(truth) == 0:
        return {}
    table = iou_table(findings, truth)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for flat in np.argsort(-table, axis=None, kind="stable"):
        i, j = divmod(int(flat), table.shape[1])
        if table[i, j] < ENOUGH:
            break
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return pairs


def sizes(boxes: Floats, scale: float) -> Floats:
    """(N,) root of the area in canvas pixels."""
    wide, high = (boxes[:, 2:] - boxes[:, :2]).T
    return np.asarray(np.sqrt(np.maximum(wide * high, 0)) * scale, np.float32)


def apart_from(boxes: Floats, taken: Floats) -> Floats:
    """Those boxes (N, 4) that show none of the faces `taken` (M, 4): so no face excuses twice."""
    if len(taken) == 0 or len(boxes) == 0:
        return boxes
    return np.asarray(boxes[iou_table(boxes, taken).max(axis=1) < ENOUGH], np.float32)


def judge(findings: Floats, faces: Floats, loose: Floats, scale: float) -> Verdict:
    """Findings (F, 4) against true faces (N, 4).

    loose: (M, 4), what may be found without being asked for. A face, true or loose, answers for one finding.
    """
    pairs = pair_up(findings, faces)
    found = np.zeros(len(faces), bool)
    found[list(pairs.values())] = True
    rest = [i for i in range(len(findings)) if i not in pairs]
    excused = pair_up(findings[rest], apart_from(loose, faces[found]))
    false = np.zeros(len(findings), bool)
    false[[i for place, i in enumerate(rest) if place not in excused]] = True
    partners = {face: finding for finding, face in pairs.items()}
    return Verdict(sizes(faces, scale), found, sizes(findings, scale), false, partners)


def landmark_errors(verdict: Verdict, found: Floats, true: Floats, faces: Floats) -> list[float]:
    """How far the points (F, 5, 2) of found faces lie from (N, 5, 2) on average, as shares of the faces' size."""
    own = sizes(faces, 1.0)
    return [
        float(np.linalg.norm(found[finding] - true[face], axis=1).mean() / own[face])
        for face, finding in verdict.partners.items()
    ]
