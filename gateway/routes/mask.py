"""POST /api/v1/mask."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.params import MaskParams
from gateway.visit import Visit, visit


async def mask(request: Request) -> Response:
    """The picture with its faces masked, as a picture."""
    return await visit(request, "mask", MaskParams, _answer)


async def _answer(seen: Visit[MaskParams]) -> Response:
    masked = await seen.picture.mask(seen.detection.faces, seen.params.options)
    seen.timings.add("mask", masked.mask_ms)
    seen.timings.add("encode", masked.encode_ms)
    headers = {
        "X-Face-Count": str(len(seen.detection.faces)),
        "X-Inference-Ms": f"{seen.detection.inference_ms:.2f}",
        "X-Total-Ms": f"{seen.timings.total_ms():.2f}",
        "X-Model": seen.detection.worker.model.name,
        "X-Image-Width": str(seen.picture.facts.width),
        "X-Image-Height": str(seen.picture.facts.height),
        "X-Blur-Method": seen.params.method,
    }
    if masked.weak:
        headers["X-Mask-Weak"] = "true"
    if masked.as_stored:
        headers["X-Mask-Colors"] = "as stored"
    return Response(masked.data, media_type=masked.media_type, headers=headers)
