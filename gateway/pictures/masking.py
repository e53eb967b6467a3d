"""What to hide and how strongly: the options a caller has, and when a mask is weak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from gateway.pictures.encode import OUTPUTS
from gateway.pictures.headers.facts import Header
from gateway.pictures.mask_methods import METHODS, Color
from gateway.pictures.overlays import OVERLAYS, drawn, lay, ready_to_lay
from gateway.pictures.regions import Pixels, Region
from shared.errors import BadParameter

if TYPE_CHECKING:
    MethodName = str
    OutputName = str
    OverlayName = str
else:  # of the rows there are
    MethodName = Literal[tuple(METHODS)]
    OutputName = Literal[tuple(OUTPUTS)]
    OverlayName = Literal[tuple(OVERLAYS)]

Method = Annotated[MethodName, Meta(description="Masking method")]
Strength = Annotated[int, Meta(ge=1, le=999, description="Blur kernel / block size")]
Padding = Annotated[float, Meta(ge=0.0, le=2.0, description="Expand bbox before masking")]
OutputFormat = Annotated[OutputName, Meta(description="Output format")]
Keep = Literal["keep"]
KEEP: Keep = "keep"
Quality = Annotated[
    Annotated[int, Meta(ge=1, le=100)] | Keep,
    Meta(
        description="Compression quality; keep changes only the blocks under the masks, from JPEG to JPEG: "
        "all others stay bit for bit as they were"
    ),
]
HexColor = Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$", description="Colour of method=solid, #rrggbb")]

Overlay = Annotated[OverlayName, Meta(description="Drawing of method=overlay")]
Annotate = Annotated[
    bool, Meta(description="Whether boxes, indices and scores are drawn instead of masks: nothing is hidden then")
]


class MaskOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to mask and how to encode; defaults and ranges are the API reference's.

    strength: blur kernel or block size in pixels. padding: how much of its width and height a box grows on each side.
    format, quality: of the answer; to keep is to change only blocks of the file that came. color: for solid.
    overlay: for overlay. annotate: nothing is hidden, everything is shown.
    """

    method: Method = "gaussian"
    strength: Strength = 199
    padding: Padding = 0.15
    format: OutputFormat = "jpeg"
    quality: Quality = 95
    color: HexColor = "#000000"
    overlay: Overlay = "smile"
    annotate: Annotate = False

    @property
    def keeps(self) -> bool:
        """Whether the file stays but for its masks."""
        return self.quality == KEEP

    @property
    def writes_planes(self) -> bool:
        """Whether a JPEG can be masked without becoming colours: by a method for planes, as a JPEG encoded anew."""
        paints = METHODS[self.method].in_planes(self.strength)
        return paints and self.format == "jpeg" and not self.keeps and not self.annotate

    @property
    def bgr(self) -> Color:
        """The colour as blue, green, red, 0..255 each."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return blue, green, red


#: A blur or mosaic that leaves more distinct cells than this across a face is called weak. Measured: SCRFD finds
#: blurred portraits again from 7.5 cells upwards and mosaics from 20; people and recognisers may earlier.
CELLS_MAX = 7


def is_weak(boxes: NDArray[np.float32], options: MaskOptions) -> bool:
    """Whether the longer side of some box (N, 4), not grown, keeps more than `CELLS_MAX` cells."""
    cell = METHODS[options.method].cell
    if cell is None or not len(boxes):
        return False
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return float(sides.max()) / cell(options.strength) > CELLS_MAX


def weak_words(options: MaskOptions) -> str:
    """Why a weak mask is refused, and what to do."""
    sure = " or ".join(name for name, method in METHODS.items() if method.cell is None)
    return (
        f"strength={options.strength} is weak for a face of this size: method={options.method} would leave more than "
        f"{CELLS_MAX} distinct cells across it. Take a larger strength, or method={sure}"
    )


def refuse_to_keep(header: Header, options: MaskOptions) -> None:
    """Raises BadParameter where the file is to be kept and cannot be, as far as its header tells."""
    if not options.keeps:
        return
    if header.format != "jpeg":
        raise BadParameter(keep_words(f"the picture is a {header.format.upper()} file"))
    if options.format != "jpeg":
        raise BadParameter(keep_words(f"format={options.format} is another format"))
    if header.cmyk:
        raise BadParameter(keep_words("the picture is stored in CMYK inks"))


def keep_words(why: str) -> str:
    """Why a file cannot be kept, and what to do."""
    return (
        f"quality=keep changes blocks of a JPEG file and answers with a JPEG, and {why}; send quality=1 to 100 instead"
    )


def hide(pixels: Pixels, hidden: list[Region], options: MaskOptions, overlay: Pixels | None = None) -> None:
    """By the method that is asked for, in place. overlay: (H, W, 4) BGRA, a caller's own in place of the drawing."""
    method = METHODS[options.method]
    method.paint(pixels, hidden, options.strength, options.bgr, 1)
    if method.lays:
        ready = drawn(options.overlay) if overlay is None else ready_to_lay(overlay)
        for region in hidden:
            lay(pixels, region, ready)
