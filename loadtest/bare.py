"""The bare call sequence of one detection, without any server: file → JSON with the service's own functions.

The limit runs it in processes of its own and the peers serve it. Peers decode all of a file and run the whole square,
as the reference does; the limit does so, too, or as little of either as the service.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import cast

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.image_decode import decode
from gateway.pictures.image_header import check_limits, read_header
from gateway.pictures.letterbox import Letterbox
from gateway.pictures.picture_work import open_picture
from gateway.serialise import DetectedFace, DetectResponse, Image, Processing, Profiling, detected_faces, summary
from models.served.facts import ServingModel, load
from models.served.trim import Trimming, part_of
from shared.faces import Faces
from shared.settings import Settings
from worker.detector import OnnxDetector, warm_up
from worker.scrfd import Heads, Question, View, detect
from worker.slab import Slab

#: The defaults of the API.
CONFIDENCE, NMS_THRESHOLD = 0.5, 0.4


@dataclass(frozen=True, slots=True)
class Fitted:
    """One decoded picture. pixels: (rows, cols, 3) uint8 BGR crop. width, height: of the upright one. Milliseconds."""

    pixels: NDArray[np.uint8]
    scale: float
    width: int
    height: int
    size_bytes: int
    decode_ms: float
    preprocess_ms: float


class Opener:
    """Decodes all of one file at a time and fits it, as the reference does."""

    def __init__(self, side: int) -> None:
        cv2.setNumThreads(1)
        self._side = side
        self._settings = Settings()

    def open(self, data: bytes | bytearray | memoryview) -> Fitted:
        """Raises BadImage or TooLarge, like the service."""
        begin = perf_counter()
        header = read_header(memoryview(data))
        check_limits(header, self._settings)
        pixels, _ = decode(memoryview(data), header)
        decoded = perf_counter()
        height, width = pixels.shape[:2]
        fitted = Letterbox.fit(width, height, self._side)
        crop = fitted.apply(pixels)
        spent_ms = (perf_counter() - decoded) * 1000
        return Fitted(crop, fitted.scale, width, height, len(data), (decoded - begin) * 1000, spent_ms)


class SparingOpener(Opener):
    """Decodes as little of a file as the service does for this model.

    That is the rows of a large JPEG that are looked at, or all of it smaller where no reference's pixels are promised.
    """

    def __init__(self, model: ServingModel) -> None:
        super().__init__(model.info.input_side)
        self._reach = 0 if model.info.exact_pixels else self._side

    def open(self, data: bytes | bytearray | memoryview) -> Fitted:
        view = memoryview(data)
        header = read_header(view)
        check_limits(header, self._settings)
        opened = open_picture(view, header, (self._side,), self._settings, to_mask=False, reach=self._reach)
        (crop,) = opened.crops
        times = opened.decode_ms, opened.preprocess_ms
        return Fitted(crop.pixels, crop.scale, *header.upright_size, len(data), *times)


class Looker:
    """A detector with its buffer, as a worker has it.

    trimming: what of the black beside pictures it is spared, as the service's own is; None for nothing.
    """

    def __init__(self, model: ServingModel, threads: int, trimming: Trimming | None = None) -> None:
        self.model = model
        self._trimming = trimming
        self._detector = OnnxDetector(model.path, threads, trimming)
        self._slab = Slab(1, model.info.input_side)
        side = model.info.input_side
        warm_up(self._detector, [(1, (side, side))])

    def look(self, crop: NDArray[np.uint8]) -> Heads:
        """Raw heads of one crop."""
        height, width = part_of(crop.shape[0], crop.shape[1], self.model.info.input_side, self._trimming)
        return self._detector.run(np.ascontiguousarray(self._slab.fill([crop])[:, :height, :width]))

    @staticmethod
    def faces(heads: Heads, row: int, fitted: Fitted) -> Faces:
        question = Question(CONFIDENCE, NMS_THRESHOLD, 0, fitted.width, fitted.height)
        return detect([(heads, row, View(0, 0, fitted.scale))], question)


class Answerer:
    """Writes the answer of POST /api/v1/detect."""

    def __init__(self, model: ServingModel) -> None:
        self._model = model
        self._encoder = msgspec.json.Encoder()

    def body(self, fitted: Fitted, faces: Faces, inference_ms: float, total_ms: float) -> bytes:
        side = self._model.info.input_side
        width, height = fitted.width, fitted.height
        times = (round(inference_ms, 2), round(total_ms, 2))
        return self._encoder.encode(
            DetectResponse(
                request_id="00000000-0000-4000-8000-000000000000",
                image_id=None,
                job_id=None,
                image=Image(width, height, 3, fitted.size_bytes),
                detections=cast("list[DetectedFace]", detected_faces(faces, width, height)),
                summary=summary(faces, width, height),
                processing=Processing(
                    self._model.info.name, (side, side), CONFIDENCE, NMS_THRESHOLD, *times, 1, 0, 0, 0,
                ),
                profiling=Profiling(
                    round(fitted.decode_ms, 2), round(fitted.preprocess_ms, 2), times[0], 0.0, times[1],
                    f"{width}x{height}", fitted.size_bytes,
                ),
            )
        )  # fmt: skip


class Bare:
    """The whole sequence in one thread: what one core can do at most."""

    def __init__(self, model: ServingModel, threads: int, *, trimmed: bool) -> None:
        self._opener = SparingOpener(model) if trimmed else Opener(model.info.input_side)
        self._looker = Looker(model, threads, trimming=model.info.trimming if trimmed else None)
        self._answerer = Answerer(model)

    def answer(self, data: bytes) -> tuple[bytes, int]:
        """The JSON for one file, and how many faces are in it."""
        begin = perf_counter()
        fitted = self._opener.open(data)
        opened = perf_counter()
        heads = self._looker.look(fitted.pixels)
        looked = perf_counter()
        faces = self._looker.faces(heads, 0, fitted)
        body = self._answerer.body(fitted, faces, (looked - opened) * 1000, (perf_counter() - begin) * 1000)
        return body, len(faces)


def open_bare(model_path: Path, threads: int, *, trimmed: bool) -> Bare:
    """From the path of a prepared model. trimmed: spared what the service is, of files and of the black beside."""
    return Bare(load(model_path), threads, trimmed=trimmed)
