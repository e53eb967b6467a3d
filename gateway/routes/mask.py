"""POST /api/v1/mask."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.params import MaskParams
from gateway.visit import visit


async def mask(request: Request) -> Response:
    """The picture with its faces masked, as a picture."""
    async with visit(request, "mask", MaskParams) as seen:
        faces, facts, timings = seen.detection.faces, seen.picture.facts, seen.record.timings
        masked = await seen.picture.mask(faces, seen.params.options)
        timings.add("mask", masked.mask_ms)
        timings.add("encode", masked.encode_ms)
        headers = {
            "X-Face-Count": str(len(faces)),
            "X-Inference-Ms": f"{seen.detection.inference_ms:.2f}",
            "X-Total-Ms": f"{timings.total_ms():.2f}",
            "X-Model": seen.detection.worker.model.name,
            "X-Image-Width": str(facts.width),
            "X-Image-Height": str(facts.height),
            "X-Blur-Method": seen.params.method,
        }
        if masked.weak:
            headers["X-Mask-Weak"] = "true"
        if masked.as_stored:
            headers["X-Mask-Colors"] = "as stored"
        return seen.answer(masked.data, masked.media_type, headers)
