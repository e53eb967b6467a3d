"""Which part of an input the network must see: the picture and a margin of the black beside it. Pure.

A picture that is not square leaves a part of the square input black, more than two fifths of it at 16:9. What lies
beyond a picture's edge reaches its faces less and less with the distance; MARGIN is where it hardly does any more
(DECISIONS.md, "The black beside a picture").
"""

from __future__ import annotations

#: Pixels of black kept below and right of the picture.
MARGIN = 64
#: Parts are multiples of the largest stride.
STEP = 32
#: Smaller inputs are run whole: they cost little, and the margin would be most of them.
SIDE_MIN = 320


def part_of(rows: int, cols: int, side: int) -> tuple[int, int]:
    """(height, width) in pixels, from the top left, of a side×side input that a picture covers up to rows×cols."""
    if side < SIDE_MIN:
        return side, side
    return _with_margin(rows, side), _with_margin(cols, side)


def _with_margin(length: int, side: int) -> int:
    return min(side, -(-(length + MARGIN) // STEP) * STEP)
