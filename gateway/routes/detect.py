"""POST /api/v1/detect."""

from __future__ import annotations

from functools import partial
from typing import cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.params import DetectParams
from gateway.recording import Answer, Repeatable, birth_of, record
from gateway.serialise import DetectedFace, DetectResponse, Image, Processing, Profiling, detected_faces, summary
from gateway.visit import Visit, visit

_encoder = msgspec.json.Encoder()


@Repeatable
async def detect(request: Request) -> Response:
    """Faces in a picture, as JSON."""
    async with visit(request, "detect", DetectParams) as seen:
        birth = birth_of(seen)
        told = answer(seen, birth.id if birth else None, birth.original_id if birth else None)
        body = _encoder.encode(told)
        seen.record.timings.lap("serialise")
        frames = seen.picture.facts.frames
        headers = {} if frames == 1 else {"X-Frames": f"{frames}; only the first was read"}
        response = seen.answer(body, "application/json", headers)
        record(seen, birth, Answer("detect", response, seen.detection.faces, body=partial(_body, told)))
        return response


def _body(told: DetectResponse, job_id: str | None, image_id: str | None) -> bytes:
    return _encoder.encode(msgspec.structs.replace(told, job_id=job_id, image_id=image_id))


def answer(seen: Visit[DetectParams], job_id: str | None, image_id: str | None) -> DetectResponse:
    """The whole response of one visit."""
    facts, faces, params = seen.picture.facts, seen.detection.faces, seen.params
    # Already JSON, of the declared type; the encoder copies it.
    detections = cast("list[DetectedFace]", detected_faces(faces, facts.width, facts.height))
    inference_ms, total_ms = round(seen.detection.inference_ms, 2), round(seen.record.timings.total_ms(), 2)
    model = seen.detection.worker.model
    return DetectResponse(
        request_id=seen.record.request_id,
        image_id=image_id,
        job_id=job_id,
        image=Image(facts.width, facts.height, facts.channels, facts.size_bytes),
        detections=detections,
        summary=summary(faces, facts.width, facts.height),
        processing=Processing(
            model=model.name,
            input_size=(model.input_side, model.input_side),
            confidence_threshold=params.confidence,
            nms_threshold=params.nms_threshold,
            inference_ms=inference_ms,
            total_ms=total_ms,
            passes=seen.detection.looks.passes,
            tiles=seen.detection.looks.tiles,
            turns=seen.detection.looks.turns,
            closer=seen.detection.looks.closer,
        ),
        profiling=Profiling(
            decode_ms=round(seen.picture.decode_ms, 2),
            preprocess_ms=round(seen.picture.preprocess_ms, 2),
            inference_ms=inference_ms,
            postprocess_ms=round(seen.detection.postprocess_ms, 2),
            total_ms=total_ms,
            input_resolution=f"{facts.width}x{facts.height}",
            input_bytes=facts.size_bytes,
        ),
    )
