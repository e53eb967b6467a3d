"""From an opened picture to its faces: the one place that turns a Picture into Work for the dispatcher."""

from __future__ import annotations

from gateway.dispatching.dispatch import Detection, Dispatcher
from gateway.dispatching.work_queue import Work
from gateway.pictures.picture import Crop, Picture
from shared.deadline import Deadline
from shared.messages import CropHeader


async def detect_picture(
    dispatcher: Dispatcher,
    picture: Picture,
    confidence: float,
    nms_threshold: float,
    max_faces: int,
    deadline: Deadline,
) -> Detection:
    """Faces in pixels of the upright picture. Raises what `Dispatcher.detect` raises."""
    work = Work(
        id=dispatcher.next_id(),
        crops=tuple(crop.pixels for crop in picture.crops),
        headers=tuple(_header(crop) for crop in picture.crops),
        confidence=confidence,
        nms_threshold=nms_threshold,
        max_faces=max_faces,
        width=picture.facts.width,
        height=picture.facts.height,
        deadline=deadline,
    )
    return await dispatcher.detect(work)


def sides_for(input_side: int, second: int) -> tuple[int, ...]:
    """The input sides to look at a picture with; a second look is only one when it is smaller."""
    return (input_side, second) if 0 < second < input_side else (input_side,)


def _header(crop: Crop) -> CropHeader:
    rows, cols, _ = crop.pixels.shape
    return CropHeader(rows, cols, crop.side, crop.scale)
