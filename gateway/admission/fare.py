"""What a picture is expected to cost, from its header alone. Pure."""

from __future__ import annotations

from collections.abc import Hashable

from gateway.admission.turnstile import Fare
from gateway.pictures.headers.facts import Header
from gateway.pictures.input_formats import INPUTS

#: A picture that takes a decoder longer than this counts as large: four times a 1080p JPEG.
LARGE_S = 0.05
#: So does one that may be looked at more often than this: it would hold its place for as long as many small ones.
LARGE_PASSES = 4.0
#: Never less: what a request costs whatever its picture.
COST_S_MIN = 0.002


def fare_of(header: Header, client: Hashable, inference_s: float, passes: float = 1.0) -> Fare:
    """Whose flow it is, what it costs in seconds of one core, and whether it is large. inference_s: of all passes."""
    decode_s = header.width * header.height * INPUTS[header.format].decode_ns * 1e-9
    large = decode_s > LARGE_S or passes > LARGE_PASSES
    return Fare((client, large), max(COST_S_MIN, decode_s + inference_s), large)
