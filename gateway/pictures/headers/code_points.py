"""Colours told by the code points of ITU-T H.273, as PNG, HEIC and AVIF do: which profile they stand for."""

from __future__ import annotations

from dataclasses import replace

from gateway.pictures.headers.matrix_profile import Colours, is_nearly_srgb, matrix_profile

_UNKNOWN = 2
#: Those that an sRGB picture can show.
_PRIMARIES = {
    1: Colours(),
    _UNKNOWN: Colours(),
    5: Colours(green=(0.29, 0.6)),
    6: Colours(red=(0.63, 0.34), green=(0.31, 0.595), blue=(0.155, 0.07)),
    9: Colours(red=(0.708, 0.292), green=(0.17, 0.797), blue=(0.131, 0.046)),
    12: Colours(red=(0.68, 0.32), green=(0.265, 0.69)),
}
#: Those of video (1, 6, 14, 15) are shown by sRGB's curve.
_GAMMAS = {**dict.fromkeys((1, _UNKNOWN, 6, 13, 14, 15)), 4: 2.2, 5: 2.8, 8: 1.0}


def profile_of(primaries: int, curve: int) -> bytes | None:
    """The profile; None for nearly sRGB, empty for brighter pictures than sRGB's (PQ, HLG) and for unknown codes."""
    if primaries not in _PRIMARIES or curve not in _GAMMAS:
        return b""
    colours = replace(_PRIMARIES[primaries], gamma=_GAMMAS[curve])
    return None if is_nearly_srgb(colours) else matrix_profile(colours)
