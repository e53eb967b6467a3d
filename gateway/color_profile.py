"""The colours of the output picture: stored colour profiles and CMYK inks become sRGB. Detection never sees this.

Alone knows Little CMS. A profile that is broken or of the wrong kind is ignored, as viewers do.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gateway.headers.facts import Header
from gateway.image_decode import upright
from gateway.pillow_files import ERRORS, opened

Pixels = NDArray[np.uint8]

#: A profile larger than this is no picture's profile (CMYK press profiles have 0.5 to 3 MB).
PROFILE_BYTES_MAX = 8 * 1024 * 1024
#: Rows converted at once: bounds what the conversion adds to memory.
_BAND_ROWS = 256


def to_srgb(data: memoryview, header: Header, pixels: Pixels) -> Pixels:
    """(H, W, 3) uint8 BGR upright in sRGB: `pixels` itself when there is nothing to convert.

    data: the file. pixels: what was decoded of it without any profile.
    """
    if not header.icc or header.format == "bmp":
        return pixels
    try:
        with opened(data, header.format) as stored:
            profile = _profile(stored)
            if profile is None or "srgb" in ImageCms.getProfileDescription(profile).lower():
                return pixels
            return _converted(stored, header, pixels, profile)
    except (*ERRORS, ImageCms.PyCMSError):
        return pixels


def _profile(stored: Image.Image) -> ImageCms.ImageCmsProfile | None:
    blob = stored.info.get("icc_profile")
    if not isinstance(blob, bytes) or not 128 <= len(blob) <= PROFILE_BYTES_MAX:
        return None
    return ImageCms.ImageCmsProfile(io.BytesIO(blob))


def _converted(stored: Image.Image, header: Header, pixels: Pixels, profile: ImageCms.ImageCmsProfile) -> Pixels:
    space = profile.profile.xcolor_space.strip()
    if space == "RGB":
        return _through(profile, "RGB", pixels[:, :, ::-1])
    if space == "GRAY" and header.samples <= 2:
        return _through(profile, "L", pixels[:, :, 0])
    if space == "CMYK" and header.cmyk and stored.mode == "CMYK":
        inks = np.asarray(stored)
        turned = inks if header.format == "tiff" else upright(inks, header.orientation)
        return _through(profile, "CMYK", turned) if turned.shape[:2] == pixels.shape[:2] else pixels
    return pixels


def _through(profile: ImageCms.ImageCmsProfile, mode: str, samples: Pixels) -> Pixels:
    """(H, W) or (H, W, n) samples of a Pillow mode → (H, W, 3) BGR in sRGB, band by band."""
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    result = np.empty((*samples.shape[:2], 3), np.uint8)
    for band in _bands(samples.shape[0]):
        picture = Image.fromarray(np.ascontiguousarray(samples[band]), mode)
        result[band] = np.asarray(ImageCms.applyTransform(picture, transform))[:, :, ::-1]
    return result


def _bands(rows: int) -> Iterator[slice]:
    for top in range(0, rows, _BAND_ROWS):
        yield slice(top, min(top + _BAND_ROWS, rows))
