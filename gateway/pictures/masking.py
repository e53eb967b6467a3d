"""What to hide and how strongly: the options, the regions that boxes become, the blur's sigma, the weak rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.errors import BadParameter

Method = Literal["gaussian", "pixelate", "solid", "elliptical", "erase"]
OutputFormat = Literal["jpeg", "png", "webp"]
MediaType = Literal["image/jpeg", "image/png", "image/webp"]

METHODS: tuple[Method, ...] = ("gaussian", "pixelate", "solid", "elliptical", "erase")
OUTPUT_FORMATS: tuple[OutputFormat, ...] = ("jpeg", "png", "webp")
STRENGTH_MIN, STRENGTH_MAX = 1, 999
PADDING_MAX = 2.0
QUALITY_MIN, QUALITY_MAX = 1, 100

#: Sigma of the blur as a part of its kernel. On the portraits of the evaluation set, kernel 199, SCRFD finds masked
#: faces again with scores up to 0.76 at OpenCV's own default (0.15), 0.46 at a third, 0.42 at a half.
SIGMA_PER_KERNEL = 1 / 2

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class MaskOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to mask and how to encode; defaults and ranges are the API reference's.

    method: see `METHODS`. strength: blur kernel or block size in pixels, 1..999. padding: how much of its width and
    height a box grows on each side, 0..2. format, quality: of the answer. color: `#rrggbb` for solid.
    """

    method: Method = "gaussian"
    strength: int = 199
    padding: float = 0.15
    format: OutputFormat = "jpeg"
    quality: int = 95
    color: str = "#000000"

    def __post_init__(self) -> None:
        assert self.method in METHODS, self.method
        assert self.format in OUTPUT_FORMATS, self.format
        assert STRENGTH_MIN <= self.strength <= STRENGTH_MAX, self.strength
        assert 0 <= self.padding <= PADDING_MAX, self.padding
        assert QUALITY_MIN <= self.quality <= QUALITY_MAX, self.quality
        if not _COLOR.fullmatch(self.color):
            raise BadParameter("color must look like #rrggbb, #000000 for black")

    @property
    def bgr(self) -> tuple[int, int, int]:
        """The colour as blue, green, red, 0..255 each."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return blue, green, red


Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Region:
    """Whole pixels to hide: rows top..bottom-1, columns left..right-1, inside the picture, never empty."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def area(self) -> int:
        return self.width * self.height

    def of(self, pixels: Pixels) -> Pixels:
        """A view of these pixels."""
        return pixels[self.top : self.bottom, self.left : self.right]


def regions(boxes: NDArray[np.float32], padding: float, width: int, height: int) -> list[Region]:
    """The boxes (N, 4) x1 y1 x2 y2 grown by `padding` of their size on each side, to whole pixels, clipped.

    Every pixel a grown box touches belongs to it. Boxes without a pixel in the picture give no region.
    """
    x1, y1, x2, y2 = boxes.astype(np.float64).T
    across, down = (x2 - x1) * padding, (y2 - y1) * padding
    left, top = np.clip(np.floor(x1 - across), 0, width), np.clip(np.floor(y1 - down), 0, height)
    right, bottom = np.clip(np.ceil(x2 + across), 0, width), np.clip(np.ceil(y2 + down), 0, height)
    corners = np.stack([left, top, right, bottom], axis=1).astype(int).tolist()
    return [Region(*each) for each in corners if each[0] < each[2] and each[1] < each[3]]


def kernel_of(strength: int) -> int:
    """The blur's kernel size in pixels: even strengths are rounded up to odd."""
    return strength | 1


#: A blur or mosaic that leaves more distinct cells than this across a face is called weak. Measured: SCRFD finds
#: blurred portraits again from 7.5 cells upwards and mosaics from 20; people and recognisers may earlier.
CELLS_MAX = 7
#: One cell of the blur as a part of its kernel: about the width at which its weights have fallen to half.
BLUR_CELL_PER_KERNEL = 1 / 3


def cells_across(box_side: float, options: MaskOptions) -> float:
    """How many distinct cells a face of `box_side` pixels keeps: its side by the size of one cell.

    A cell of pixelate is a block; a cell of the blur is a third of its kernel. Methods that overwrite keep none.
    """
    if options.method in ("solid", "erase"):
        return 0.0
    cell = options.strength if options.method == "pixelate" else kernel_of(options.strength) * BLUR_CELL_PER_KERNEL
    return box_side / cell


def is_weak(boxes: NDArray[np.float32], options: MaskOptions) -> bool:
    """Whether the longer side of some box (N, 4), not grown, keeps more than `CELLS_MAX` cells."""
    if not len(boxes):
        return False
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return cells_across(float(sides.max()), options) > CELLS_MAX


def weak_words(options: MaskOptions) -> str:
    """Why a weak mask is refused, and what to do."""
    return (
        f"strength={options.strength} is weak for a face of this size: method={options.method} would leave more than "
        f"{CELLS_MAX} distinct cells across it. Take a larger strength, or method=solid or erase"
    )
