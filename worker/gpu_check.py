"""Before a GPU worker serves: every bucket of every slot answers as the same file does on the CPU, row by row.

This finds what no option can promise: a recorded graph that reads old memory, rows exchanged, a kernel gone wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.canary import canary_picture
from shared.errors import ConfigurationError
from worker.buckets import buckets_up_to
from worker.detector import Detector, ImageBatch, OverlappingDetector
from worker.scrfd import AnyHeads

#: Half precision against the same weights on a CPU, which rounds nothing in between; TF32 in fp32 stays far below.
SCORE_TOLERANCE = 5e-3
#: Pixels of the input, where there is something to see.
BOX_TOLERANCE_PX = 1.0
SEEN = 0.1


class Strays(ConfigurationError):
    """The card answers otherwise than the CPU."""


def check_against(
    truth: Detector, detector: OverlappingDetector, sides: Sequence[int], max_batch: int, told: Callable[[str], None]
) -> None:
    """Raises Strays with what differs. truth: the same network where it is known to be right."""
    worst = (0.0, 0.0)
    for side in sides:
        pictures = check_pictures(side)
        expected = [truth.run(picture[None]) for picture in pictures]
        for bucket in buckets_up_to(max_batch):
            for room, images in enumerate(detector.rooms(side, max_batch)):
                shown = [(row + room) % len(pictures) for row in range(bucket)]
                for row, number in enumerate(shown):
                    images[row] = pictures[number]
                found = _both_ways(detector, side, room, bucket)
                for answers in found:
                    for number, (heads, row) in zip(shown, answers, strict=True):
                        worst = _worse(worst, _difference(heads, row, expected[number]))
                images[:bucket] = 0
                _refuse(worst, f"batch {bucket} at {side}", detector.provider)
    told(f"answers as the CPU does: scores within {worst[0]:.2g}, boxes within {worst[1]:.2g} px")


def check_pictures(side: int) -> list[ImageBatch]:
    """Three inputs (side, side, 3) that no network mixes up: drawn faces, the same upside down, noise."""
    picture = canary_picture()[:side, :side]
    faces = np.zeros((side, side, 3), np.uint8)
    faces[: picture.shape[0], : picture.shape[1]] = picture
    noise = np.random.default_rng(11).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return [faces, np.ascontiguousarray(faces[::-1]), noise]


def _both_ways(detector: OverlappingDetector, side: int, room: int, count: int) -> list[Sequence[tuple[AnyHeads, int]]]:
    """As usual, where the best candidates come back, and so that everything has to."""
    answers = []
    for threshold in (1.0, -1.0):
        detector.submit(side, room, count)
        answers.append(detector.collect(side, room, [threshold] * count))
    return answers


def _difference(heads: AnyHeads, row: int, expected: AnyHeads) -> tuple[float, float]:
    """(score, pixels) by which the anchors that came back differ from those expected; infinite where one is strange."""
    score = pixels = 0.0
    wanted = {level.stride: level for level in expected.over(0, np.float32(-1))}
    for level in heads.over(row, np.float32(-1)):
        right = wanted[level.stride]
        score = max(score, _largest(level.scores - right.scores[level.anchors]))
        seen = right.scores[level.anchors] >= SEEN
        drift = _largest((level.distances - right.distances[level.anchors])[seen])
        if level.offsets is not None and right.offsets is not None:
            drift = max(drift, _largest((level.offsets - right.offsets[level.anchors])[seen]))
        pixels = max(pixels, drift * level.stride)
    return score, pixels


def _largest(difference: NDArray[np.float32]) -> float:
    largest = float(np.abs(difference).max(initial=0.0))
    return largest if np.isfinite(largest) else float("inf")


def _worse(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return max(one[0], other[0]), max(one[1], other[1])


def _refuse(worst: tuple[float, float], where: str, provider: str) -> None:
    if not (worst[0] <= SCORE_TOLERANCE and worst[1] <= BOX_TOLERANCE_PX):
        raise Strays(
            f"{provider} answers otherwise than the CPU ({where}: {worst[0]:.2g} in scores, {worst[1]:.2g} px); try "
            "FACE_API_CUDA_GRAPHS=false or FACE_API_PRECISION=fp32, or serve without it by FACE_API_ACCELERATOR=cpu"
        )
