"""Compares found faces with true ones: alone knows the measure of the model card.

Pure functions on boxes; the truth is another detector's faces, strict ones to
be found and looser ones that excuse a finding.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.training.judge.detect import Found

Floats = NDArray[np.float32]
ENOUGH = 0.4  # IoU that makes a finding the same face
SAME = 0.95  # IoU at which two boxes of one detector are one face
SMALLEST = 16.0  # pixels on the canvas, root of the area: smaller faces are not asked for


@dataclass(frozen=True)
class Verdict:
    """One photograph judged. Indices into the findings or the strict truth.

    found, missed: strict true faces; false: findings that are no face;
    small_false: those of them below SMALLEST; findings: how many were judged;
    small_findings: how many of these are below SMALLEST;
    errors: landmark error of each found face as a share of its size.
    """

    found: list[int]
    missed: list[int]
    false: list[int]
    small_false: list[int]
    findings: int
    small_findings: int
    errors: list[float]


@dataclass
class Tally:
    """Sums over photographs."""

    truth: int = 0
    found: int = 0
    findings: int = 0
    false: int = 0
    small_findings: int = 0
    small_false: int = 0
    errors: list[float] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Counts one photograph in."""
        self.truth += len(verdict.found) + len(verdict.missed)
        self.found += len(verdict.found)
        self.findings += verdict.findings
        self.false += len(verdict.false)
        self.small_findings += verdict.small_findings
        self.small_false += len(verdict.small_false)
        self.errors += verdict.errors

    def figures(self) -> dict[str, float]:
        """Recall, precision over all findings and over those of SMALLEST and more, landmarks."""
        large = self.findings - self.small_findings
        large_false = self.false - self.small_false
        return {
            "truth": self.truth,
            "found": self.found,
            "findings": self.findings,
            "false": self.false,
            "recall": self.found / self.truth if self.truth else 1.0,
            "precision": 1 - self.false / self.findings if self.findings else 1.0,
            "precision_16px": 1 - large_false / large if large else 1.0,
            "landmark_error_median": float(np.median(self.errors)) if self.errors else 0.0,
        }


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


def sizes(found: Found) -> Floats:
    """(N,) root of the area in canvas pixels."""
    wide, high = (found.boxes[:, 2:] - found.boxes[:, :2]).T
    return np.asarray(np.sqrt(np.maximum(wide * high, 0)) * found.scale, np.float32)


def without(boxes: Floats, taken: Floats) -> Floats:
    """Those boxes (N, 4) that are none of `taken` (M, 4): so no face excuses twice."""
    if len(taken) == 0 or len(boxes) == 0:
        return boxes
    return np.asarray(boxes[iou_table(boxes, taken).max(axis=1) < SAME], np.float32)


def judge(findings: Found, strict: Found, loose: Found) -> Verdict:
    """Findings at the confidence under test against the truth.

    strict: faces to be found, of which those of SMALLEST and more are asked
    for; loose: the same detector's faces at a lower score, of any size, which
    are no false alarms. A found true face excuses one finding.
    """
    asked = np.nonzero(sizes(strict) >= SMALLEST)[0]
    pairs = pair_up(findings.boxes, strict.boxes[asked])
    found = sorted(int(asked[j]) for j in pairs.values())
    missed = sorted(set(asked.tolist()) - set(found))
    # The pairs with strict truth stand; the rest may be excused by looser faces.
    rest = [i for i in range(len(findings.boxes)) if i not in pairs]
    excused = pair_up(findings.boxes[rest], without(loose.boxes, strict.boxes[found]))
    false = [i for place, i in enumerate(rest) if place not in excused]
    small = sizes(findings) < SMALLEST
    errors = []
    for i, j in pairs.items():
        box = strict.boxes[asked[j]]
        size = float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))
        apart = np.linalg.norm(findings.points[i] - strict.points[asked[j]], axis=1)
        errors.append(float(apart.mean()) / size)
    return Verdict(
        found,
        missed,
        false,
        [i for i in false if small[i]],
        len(findings.boxes),
        int(small.sum()),
        errors,
    )
