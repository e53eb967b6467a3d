"""Sums over photographs, and how far they would differ on others of their kind: alone knows what is counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.training.judge.measure import Verdict
from models.training.judge.sets import BARE, MASKED

SMALLEST = 16.0  # pixels of the canvas, root of the area: smaller faces are told apart, not asked for
#: Sizes of faces, in pixels of the canvas.
SIZES = {"10–16": (10.0, 16.0), "16–32": (16.0, 32.0), "32–96": (32.0, 96.0), "> 96": (96.0, np.inf)}
COVERS = {"masked": MASKED, "bare": BARE}
#: Photographs are drawn anew so many times; the middle 95 % of what comes out is the interval.
DRAWS, SHARE = 2000, 95.0

Counts = NDArray[np.float64]


class Share(msgspec.Struct, frozen=True):
    """value: count / of, or None of nothing; low, high: its 95 % interval over photographs."""

    of: int
    value: float | None
    low: float | None
    high: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One detector on one set. recall: of faces of SMALLEST and more; by_size, by_cover: of parts (10–16 px beside it).

    precision: of all findings; precision_large: of those of SMALLEST and more. per_photograph: false findings.
    landmark_error: median, as a share of the face's size, where the truth has landmarks.
    """

    photographs: int
    faces: int
    found: int
    findings: int
    false: int
    recall: Share
    by_size: dict[str, Share]
    by_cover: dict[str, Share]
    precision: Share
    precision_large: Share
    per_photograph: Share
    landmark_error: float | None = None


@dataclass(frozen=True)
class Judged:
    """One photograph of a set. masked: (N,) as in sets.py. errors: of landmarks."""

    verdict: Verdict
    masked: NDArray[np.int8]
    errors: list[float]


def _groups(one: Judged) -> dict[str, NDArray[np.bool_]]:
    """Name -> which true faces are in it."""
    asked = one.verdict.sizes >= SMALLEST
    groups = {"all": asked}
    groups |= {size: (one.verdict.sizes >= low) & (one.verdict.sizes < high) for size, (low, high) in SIZES.items()}
    return groups | {cover: asked & (one.masked == known) for cover, known in COVERS.items()}


def _row(one: Judged) -> list[int]:
    verdict = one.verdict
    faces = [count for group in _groups(one).values() for count in (verdict.found[group].sum(), group.sum())]
    large = verdict.finding_sizes >= SMALLEST
    right, right_large = ~verdict.false, large & ~verdict.false
    findings = [right.sum(), len(large), right_large.sum(), large.sum(), verdict.false.sum(), 1]
    return [int(count) for count in faces + findings]


def figures(photographs: Iterable[Judged]) -> Figures:
    """Sums, shares and their intervals; the same photographs give the same figures."""
    held = list(photographs)
    counts = np.array([_row(one) for one in held], np.float64)
    names = ["all", *SIZES, *COVERS, "precision", "precision_large", "per_photograph"]
    shares = dict(zip(names, _shares(counts), strict=True))
    errors = [error for one in held for error in one.errors]
    total = counts.sum(axis=0)
    return Figures(
        photographs=len(held),
        faces=int(total[1]),
        found=int(total[0]),
        findings=int(total[-5]),
        false=int(total[-2]),
        recall=shares["all"],
        by_size={name: shares[name] for name in SIZES},
        by_cover={name: shares[name] for name in COVERS if shares[name].of},
        precision=shares["precision"],
        precision_large=shares["precision_large"],
        per_photograph=shares["per_photograph"],
        landmark_error=round(float(np.median(errors)), 4) if errors else None,
    )


def _shares(counts: Counts) -> list[Share]:
    """(photographs, 2 · shares), each share as two columns: how many, of how many."""
    photographs = len(counts)
    drawn = np.random.default_rng(7).multinomial(photographs, [1 / photographs] * photographs, DRAWS) @ counts
    total = counts.sum(axis=0)
    return [_share(total[at : at + 2], drawn[:, at : at + 2]) for at in range(0, counts.shape[1], 2)]


def _share(total: Counts, drawn: Counts) -> Share:
    if not total[1]:
        return Share(0, None, None, None)
    some = drawn[drawn[:, 1] > 0]
    low, high = np.percentile(some[:, 0] / some[:, 1], [50 - SHARE / 2, 50 + SHARE / 2])
    return Share(int(total[1]), *(round(float(value), 4) for value in (total[0] / total[1], low, high)))
