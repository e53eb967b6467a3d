"""The colours of the output picture: stored colour profiles and CMYK inks become sRGB. Detection never sees this.

Alone knows Little CMS. A profile that is broken or of the wrong kind is ignored, as viewers do.
"""

from __future__ import annotations

import contextlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gateway.pictures.headers import tiff
from gateway.pictures.headers.facts import Header
from gateway.pictures.image_decode import upright
from gateway.pictures.pillow_files import BAND_ROWS, ERRORS, bands, opened

Pixels = NDArray[np.uint8]

#: A profile larger than this is no picture's profile (CMYK press profiles have 0.5 to 3 MB).
PROFILE_BYTES_MAX = 8 * 1024 * 1024


def to_srgb(data: memoryview, header: Header, pixels: Pixels) -> None:
    """Turns `pixels`, (H, W, 3) uint8 BGR upright as decoded without any profile, into sRGB in place.

    data: the file, where its profile and its inks are.
    """
    if not header.icc or header.format == "bmp":
        return
    if header.format == "tiff" and header.orientation > 1:
        data = tiff.not_turned(data)
    with contextlib.suppress(*ERRORS, ImageCms.PyCMSError), opened(data, header.format) as stored:
        profile = _profile(stored)
        if profile is not None and "srgb" not in ImageCms.getProfileDescription(profile).lower():
            _convert(stored, header, pixels, profile)


def _profile(stored: Image.Image) -> ImageCms.ImageCmsProfile | None:
    blob = stored.info.get("icc_profile")
    if not isinstance(blob, bytes) or not 128 <= len(blob) <= PROFILE_BYTES_MAX:
        return None
    return ImageCms.ImageCmsProfile(io.BytesIO(blob))


def _convert(stored: Image.Image, header: Header, pixels: Pixels, profile: ImageCms.ImageCmsProfile) -> None:
    space = profile.profile.xcolor_space.strip()
    if space == "RGB":
        _through(profile, "RGB", pixels[:, :, ::-1], pixels)
    elif space == "GRAY" and header.samples <= 2:
        _through(profile, "L", pixels[:, :, 0], pixels)
    elif space == "CMYK" and header.cmyk and stored.mode == "CMYK":
        _inks_through(profile, stored, header, pixels)


def _through(profile: ImageCms.ImageCmsProfile, mode: str, samples: Pixels, pixels: Pixels) -> None:
    """(H, W) or (H, W, n) samples of a Pillow mode into (H, W, 3) BGR in sRGB, band by band."""
    transform = _transform(profile, mode)
    for top in range(0, pixels.shape[0], BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        band = Image.fromarray(np.ascontiguousarray(samples[rows]), mode)
        pixels[rows] = np.asarray(ImageCms.applyTransform(band, transform))[:, :, ::-1]


def _inks_through(profile: ImageCms.ImageCmsProfile, stored: Image.Image, header: Header, pixels: Pixels) -> None:
    """The file's own inks, which OpenCV has not kept, into (H, W, 3) BGR in sRGB."""
    transform = _transform(profile, "CMYK")
    converted = np.empty((stored.height, stored.width, 3), np.uint8)
    for rows, band in bands(stored):
        converted[rows] = np.asarray(ImageCms.applyTransform(band, transform))[:, :, ::-1]
    turned = upright(converted, header.orientation)
    if turned.shape == pixels.shape:
        pixels[:] = turned


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", intent, flags)
