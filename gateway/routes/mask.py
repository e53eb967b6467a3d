"""POST /api/v1/mask."""

from __future__ import annotations

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from gateway.deciding import decided, refuse_indices
from gateway.params import MaskParams
from gateway.pictures.marks import Marks
from gateway.recording import Answer, Repeatable, birth_of, record
from gateway.visit import Visit, visit

#: What became of the faces.
FATES_HEADER = "X-Faces"


@Repeatable
async def mask(request: Request) -> Response:
    """The picture with its faces masked, as a picture."""
    async with visit(request, "mask", MaskParams) as seen:
        facts, timings = seen.picture.facts, seen.record.timings
        marks = _marks(seen)
        masked = await seen.picture.mask(marks, seen.params.options, seen.overlay)
        timings.add("mask", masked.mask_ms)
        timings.add("encode", masked.encode_ms)
        if seen.params.annotate:  # nothing was hidden
            marks = Marks(marks.faces, np.zeros_like(marks.hidden))
        headers = {
            "X-Face-Count": str(marks.masked),
            FATES_HEADER: _fates(marks),
            "X-Inference-Ms": f"{seen.detection.inference_ms:.2f}",
            "X-Total-Ms": f"{timings.total_ms():.2f}",
            "X-Model": seen.detection.worker.model.name,
            "X-Image-Width": str(facts.width),
            "X-Image-Height": str(facts.height),
            "X-Blur-Method": "annotate" if seen.params.annotate else seen.params.method,
        }
        if masked.weak:
            headers["X-Mask-Weak"] = "true"
        if masked.as_stored:
            headers["X-Mask-Colors"] = "as stored"
        response = seen.answer(masked.data, masked.media_type, headers)
        shows_all = seen.params.annotate
        record(seen, birth_of(seen), Answer("mask", response, marks.faces, marks.masked, to_keep=not shows_all))
        return response


def _marks(seen: Visit[MaskParams]) -> Marks:
    facts = seen.picture.facts
    if seen.picture.seen_twice:
        refuse_indices(seen.params)
    return decided(seen.detection.faces, seen.params, facts.width, facts.height)


def _fates(marks: Marks) -> str:
    """A structured field (RFC 9651), as X-Looks is one."""
    found = len(marks.faces)
    return f"found={found}, kept={found - marks.masked}, masked={marks.masked}, added={len(marks.own)}"
