"""Which part of an input the network must see: the picture and a margin of the black beside it. Pure.

A picture that is not square leaves a part of the square input black, more than two fifths of it at 16:9. What lies
beyond a picture's edge reaches its faces less and less with the distance (DECISIONS.md, "The black beside a picture").
"""

from __future__ import annotations

import msgspec

#: Parts are multiples of the largest stride.
STEP = 32
#: Smaller inputs are run whole: they cost little, and the margin would be most of them.
SIDE_MIN = 320


class Trimming(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the black beside a picture a network can do without. All in pixels of the input.

    margin: black kept below or right of the picture. square: the side of the square for which there are networks of
    its own that know what would follow (models/rewriting/black_edge.py); 0 where the network itself sees parts, of any
    square. added: black that those add to what they are shown, so that they answer for so much more. far: how far that
    must end from the square's own edge, which the network would feel, too.
    """

    margin: int
    square: int = 0
    added: int = 0
    far: int = 0


#: In int8 the network itself sees parts: its scores move by more than what the margin leaves, and the gate judges both.
INT8_TRIMMING = Trimming(margin=64)


def part_of(rows: int, cols: int, side: int, trimming: Trimming | None) -> tuple[int, int]:
    """(height, width) in pixels, from the top left, of a side×side input that a picture covers up to rows×cols."""
    whole = side, side
    if trimming is None or side < SIDE_MIN or trimming.square not in (0, side):
        return whole
    part = _cut(rows, side, trimming), _cut(cols, side, trimming)
    # A network of its own is cut at one edge; a letterboxed picture touches the other.
    return whole if trimming.square and side not in part else part


def answered(part: tuple[int, int], trimming: Trimming | None) -> tuple[int, int]:
    """(height, width) that a network answers for when it is shown a part of this size."""
    added = trimming.added if trimming else 0
    height, width = part
    return (height + added, width) if height < width else (height, width + added) if width < height else part


def _cut(length: int, side: int, trimming: Trimming) -> int:
    """The length that must be seen along one axis."""
    cut = -(-(length + trimming.margin) // STEP) * STEP
    return cut if cut + trimming.added <= side - max(trimming.far, STEP) else side
