"""TIFF put together from its samples where decoders get it wrong or refuse it: alpha, spot inks, Lab, 12 and 16 bits.

libtiff unpacks the bytes, as if they were a grey picture; what they mean is known here. TIFF 6.0, sections 8, 14, 16
and 23.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from gateway.pictures.headers import tiff
from gateway.pictures.headers.tiff import TiffLayout
from gateway.pictures.pillow_files import BAND_ROWS, opened
from gateway.pictures.tiff_rewrite import bytes_of
from shared.errors import BadImage

Pixels = NDArray[np.uint8]
#: (rows, columns, samples) of a band, each in the lowest bits of its number.
Samples = NDArray[np.unsignedinteger]

#: Cameras and scanners put values of so few bits into 16. Where all of a picture's are, it would be shown black.
_FEWER_BITS = (8, 10, 12)
_MULTIPLIED = 1


def read_samples(data: memoryview) -> Pixels:
    """(H, W, 3) uint8 BGR as stored, (H, W, 4) where alpha is stored.

    Raises BadImage, or one of `pillow_files.ERRORS`.
    """
    layout = tiff.layout_of(data)
    with contextlib.ExitStack() as stack:
        files = (bytes_of(layout, plane) for plane in range(layout.planes))
        planes = [stack.enter_context(opened(file, TiffImagePlugin.TiffImageFile)) for file in files]
        return _painted(layout, planes)


def _painted(layout: TiffLayout, planes: Sequence[Image.Image]) -> Pixels:
    bits, to_rgb = _bits_used(layout, planes), _painter(layout)
    pixels = np.empty((layout.height, layout.width, 3 + (layout.alpha is not None)), np.uint8)
    for rows, samples in _bands(layout, planes):
        if layout.signed and int(samples.max()) >> (layout.bits - 1):
            raise BadImage(
                "TIFF with values below zero is not accepted: no two viewers show them alike; save it as RGB"
            )
        levels = _levels(layout, samples, bits)
        rgb = to_rgb(levels)
        if layout.alpha is not None:
            pixels[rows, :, 3] = levels[:, :, layout.alpha]
            if layout.extra[layout.alpha - layout.samples] == _MULTIPLIED:
                rgb = _divided(rgb, levels[:, :, layout.alpha])
        pixels[rows, :, :3] = rgb[:, :, ::-1]
    return pixels


def _bands(layout: TiffLayout, planes: Sequence[Image.Image]) -> Iterator[tuple[slice, Samples]]:
    """The samples of some rows at a time, with their place."""
    for plane in planes:
        plane.load()
    for top in range(0, layout.height, BAND_ROWS):
        bottom = min(top + BAND_ROWS, layout.height)
        parts = [_samples(layout, np.asarray(plane.crop((0, top, plane.width, bottom)))) for plane in planes]
        yield slice(top, bottom), parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _samples(layout: TiffLayout, packed: Pixels) -> Samples:
    """(rows, bytes) of one plane → (rows, columns, samples of a plane), their differences added up."""
    count = layout.samples // layout.planes
    flat = _unpacked(packed, layout)[:, : layout.width * count]
    samples = flat.reshape(len(packed), layout.width, count)
    if not layout.differences:
        return samples
    each = layout.piece[0] if layout.tiled else layout.width
    parts = [samples[:, left : left + each] for left in range(0, layout.width, each)]
    summed = np.concatenate([np.cumsum(part, axis=1, dtype=samples.dtype) for part in parts], axis=1)
    return summed & samples.dtype.type((1 << layout.bits) - 1)


def _unpacked(packed: Pixels, layout: TiffLayout) -> Samples:
    """(rows, bytes) → (rows, samples), with some more where a row ends inside a byte."""
    if layout.bits == 16:
        return np.ascontiguousarray(packed).view(layout.page.order + "u2").astype(np.uint16, copy=False)
    if layout.bits == 8:
        return packed
    if layout.bits == 12:
        wide = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 3))).astype(np.uint16).reshape(len(packed), -1, 3)
        first, second = wide[:, :, 0] << 4 | wide[:, :, 1] >> 4, (wide[:, :, 1] & 15) << 8 | wide[:, :, 2]
        return np.stack([first, second], axis=2).reshape(len(packed), -1)
    shifts = np.arange(8 - layout.bits, -1, -layout.bits, dtype=np.uint8)
    return (packed[:, :, None] >> shifts & np.uint8((1 << layout.bits) - 1)).reshape(len(packed), -1)


def _bits_used(layout: TiffLayout, planes: Sequence[Image.Image]) -> int:
    """How many bits the values really have: fewer than 16 where the file says so or all would be nearly black."""
    if layout.bits != 16 or layout.photometric not in (tiff.WHITE_IS_ZERO, tiff.BLACK_IS_ZERO, tiff.TRUE_COLOUR):
        return layout.bits
    colours = tiff.BASE[layout.photometric]
    largest = max(int(samples[:, :, :colours].max()) for _rows, samples in _bands(layout, planes))
    told = layout.page.value(tiff.LARGEST, 0)
    if largest <= told and told + 1 in (1 << bits for bits in range(8, 16)):
        return told.bit_length()
    return next((bits for bits in _FEWER_BITS if largest < 1 << bits), 16)


def _levels(layout: TiffLayout, samples: Samples, bits: int) -> Pixels:
    """0..255; of a palette the places in it."""
    if layout.photometric == tiff.INDEXED and bits <= 8:
        return samples.astype(np.uint8, copy=False)
    if bits < 8:
        return (samples * np.uint8(255 // ((1 << bits) - 1))).astype(np.uint8)
    return (
        samples.astype(np.uint8, copy=False) if bits == 8 else np.minimum(samples >> (bits - 8), 255).astype(np.uint8)
    )


def _painter(layout: TiffLayout) -> Callable[[Pixels], Pixels]:
    """Levels (rows, columns, samples) → (rows, columns, 3) RGB."""
    match layout.photometric:
        case tiff.WHITE_IS_ZERO:
            return lambda levels: np.repeat(255 - levels[:, :, :1], 3, axis=2)
        case tiff.BLACK_IS_ZERO:
            return lambda levels: np.repeat(levels[:, :, :1], 3, axis=2)
        case tiff.INDEXED:
            palette = _palette(layout)
            return lambda levels: palette[levels[:, :, 0]]
        case tiff.INKS:
            return _without_inks
        case tiff.CIE_LAB | tiff.ICC_LAB:
            return _lab_painter(layout)
    return lambda levels: levels[:, :, :3]


def _palette(layout: TiffLayout) -> Pixels:
    """(2 ** bits, 3): of 16 bits a colour, or of 8 where no value needs more."""
    colours = layout.page.values(tiff.COLORMAP).reshape(3, -1).T
    if len(colours) != 1 << layout.bits:
        raise ValueError("a palette of another size")
    return (colours if int(colours.max()) < 256 else colours >> np.uint64(8)).astype(np.uint8)


def _without_inks(levels: Pixels) -> Pixels:
    """What paper shows through cyan, magenta, yellow and black, as libtiff reckons."""
    paper = 255 - levels[:, :, :4].astype(np.uint16)
    return (paper[:, :, :3] * paper[:, :, 3:] // 255).astype(np.uint8)


def _lab_painter(layout: TiffLayout) -> Callable[[Pixels], Pixels]:
    """Lab under D50 to sRGB. ICC's a and b begin at -128 where CIE's have a sign."""
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(*profiles, "LAB", "RGB", intent)
    shift = np.array([0, 128, 128] if layout.photometric == tiff.ICC_LAB else [0, 0, 0], np.uint8)

    def paint(levels: Pixels) -> Pixels:
        signed = np.ascontiguousarray(levels[:, :, :3] ^ shift)
        band = Image.frombytes("LAB", (levels.shape[1], levels.shape[0]), signed.tobytes())
        return cast("Pixels", np.asarray(ImageCms.applyTransform(band, transform)))

    return paint


def _divided(rgb: Pixels, alpha: Pixels) -> Pixels:
    """Colours that were multiplied with their alpha, as they were before; nothing where nothing can be seen."""
    wide = np.maximum(alpha, 1).astype(np.uint16)[:, :, None]
    divided: NDArray[np.uint16] = (rgb * np.uint16(255) + wide // 2) // wide
    return np.minimum(divided, 255).astype(np.uint8)
