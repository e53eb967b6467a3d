"""The colours of the output picture: stored colour profiles and CMYK inks become sRGB. Detection never sees this.

Alone knows profiles. One is judged by what it does, not by its name: one that moves no colour is left alone.
One that is broken, too large or of another kind than the pixels is not applied, as in viewers, and that is told.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gateway.pictures.headers.facts import PROFILE_BYTES_MAX, Header
from gateway.pictures.image_decode import upright
from gateway.pictures.image_header import stored_profile
from gateway.pictures.input_formats import INPUTS
from gateway.pictures.pillow_files import BAND_ROWS, ERRORS, bands, opened

Pixels = NDArray[np.uint8]

#: Profiles that move no colour of the cube by more are sRGB, whatever they are called; no eye sees it.
_LEVELS_MAX = 2
#: What cameras and programs write is remembered by its bytes: to build a transform takes 2 ms.
_REMEMBERED_BYTES_MAX = 16 * 1024
#: What a JPEG has room for: 255 segments.
_KEPT_BYTES_MAX = min(PROFILE_BYTES_MAX, 255 * 65_519)
_STEPS = np.linspace(0, 255, 17).astype(np.uint8)
_CUBE = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), axis=-1).reshape(17, -1, 3)


def to_srgb(data: memoryview, header: Header, pixels: Pixels) -> bool:
    """Turns `pixels`, (H, W, 3) uint8 BGR upright as decoded without any profile, into sRGB in place.

    data: the file, where its profile and its inks are. Returns False when a profile is stored and cannot be used;
    the pixels are then as they were.
    """
    blob = stored_profile(data) if header.icc else None
    if blob is None or (len(blob) <= _REMEMBERED_BYTES_MAX and _is_srgb(blob)):
        return True
    if not 128 <= len(blob) <= PROFILE_BYTES_MAX:
        return False
    try:
        return _convert(data, header, pixels, ImageCms.ImageCmsProfile(io.BytesIO(blob)))
    except (*ERRORS, ImageCms.PyCMSError):
        return False


def kept_profile(data: memoryview, header: Header) -> bytes | None:
    """The stored profile, for pixels in RGB or grey that stay as they are stored; empty where none is needed.

    None when one is stored that cannot be used.
    """
    blob = stored_profile(data) if header.icc else None
    if blob is None or (len(blob) <= _REMEMBERED_BYTES_MAX and _is_srgb(blob)):
        return b""
    return blob if 128 <= len(blob) <= _KEPT_BYTES_MAX and _is_for(blob, header) else None


def _is_for(blob: bytes, header: Header) -> bool:
    """Whether it is a profile for pixels of this kind."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(blob))
        mode = {("RGB", 3): "RGB", ("GRAY", 1): "L"}.get((_space(profile), header.samples))
        return mode is not None and _transform(profile, mode) is not None
    except (*ERRORS, ImageCms.PyCMSError):
        return False


@lru_cache(maxsize=64)
def _is_srgb(blob: bytes) -> bool:
    """Whether an RGB profile moves no colour; False for any other and for what is no profile."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(blob))
        return _space(profile) == "RGB" and _moves_nothing(_transform(profile, "RGB"))
    except (*ERRORS, ImageCms.PyCMSError):
        return False


def _moves_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(_CUBE), transform)).astype(np.int16) - _CUBE
    return int(np.abs(moved).max()) <= _LEVELS_MAX


def _space(profile: ImageCms.ImageCmsProfile) -> str:
    return str(profile.profile.xcolor_space).strip()


def _convert(data: memoryview, header: Header, pixels: Pixels, profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether the profile is one for these pixels."""
    space = _space(profile)
    if space == "RGB" and not header.cmyk:
        _through(_transform(profile, "RGB"), pixels[:, :, ::-1], pixels)
    elif space == "GRAY" and header.samples <= 2:
        _through(_transform(profile, "L"), pixels[:, :, 0], pixels)
    elif space == "CMYK" and header.cmyk:
        return _inks_through(_transform(profile, "CMYK"), data, header, pixels)
    else:
        return False
    return True


def _through(transform: ImageCms.ImageCmsTransform, samples: Pixels, pixels: Pixels) -> None:
    """(H, W) or (H, W, 3) samples into (H, W, 3) BGR in sRGB, band by band."""
    for top in range(0, pixels.shape[0], BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        band = Image.fromarray(np.ascontiguousarray(samples[rows]))
        pixels[rows] = np.asarray(ImageCms.applyTransform(band, transform))[:, :, ::-1]


def _inks_through(transform: ImageCms.ImageCmsTransform, data: memoryview, header: Header, pixels: Pixels) -> bool:
    """The file's own inks, which the decoder has not kept, into (H, W, 3) BGR in sRGB."""
    kind = INPUTS[header.format]
    with opened(kind.ready(data, header), kind.by_pillow) as stored:
        if stored.mode != "CMYK":
            return False
        converted = np.empty((stored.height, stored.width, 3), np.uint8)
        for rows, band in bands(stored):
            converted[rows] = np.asarray(ImageCms.applyTransform(band, transform))[:, :, ::-1]
    turned = upright(converted, header.orientation)
    if turned.shape != pixels.shape:
        return False
    pixels[:] = turned
    return True


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", intent, flags)
