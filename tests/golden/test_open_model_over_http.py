"""The open model's answers over HTTP are those it is judged by: in a crowd, where much is in doubt, and in a group."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest

from models.training.judge.detect import OnnxDetector, letterbox
from models.training.judge.measure import pair_up
from models.training.material.folder import read_picture
from shared.cells import CLOSER_SHEETS, SHEETS
from tests.service import PHOTOS, REQUEST_S_MAX, ROOT, running_service

SIDE = 640
OPEN = ROOT / "models" / "open"
NAMES = ("crowd_lumia.jpg", "group_solvay.png")

pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photographs are not beside the project")


@dataclass(frozen=True)
class Served:
    client: httpx2.Client

    def detect(self, name: str, query: str = "") -> dict[str, Any]:
        """Of a photograph that is as large as the input already: only then is nothing fitted."""
        _, png = cv2.imencode(".png", letterbox(read_picture(PHOTOS / name)).pixels)
        answer = self.client.post(f"/api/v1/detect?{query}", files={"image": ("a.png", png.tobytes())})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def served(with_open_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data_dir = Path(shutil.copytree(with_open_model / "data", tmp_path_factory.mktemp("open") / "data"))
    with (
        running_service(data_dir, precision="fp32") as service,
        httpx2.Client(base_url=service.url, timeout=REQUEST_S_MAX) as client,
    ):
        yield Served(client)


@pytest.fixture(scope="module")
def judging() -> OnnxDetector:
    detector = OnnxDetector(OPEN / "scrfd_500m_open.onnx")
    detector.closer = OnnxDetector(OPEN / "scrfd_500m_open_closer.onnx")
    return detector


@pytest.mark.parametrize("name", NAMES)
def test_a_photographs_faces_are_those_the_judge_finds(name: str, served: Served, judging: OnnxDetector) -> None:
    found = judging.detect(letterbox(read_picture(PHOTOS / name)).pixels, 0.5)
    answer = served.detect(name)["detections"]
    assert len(answer) == len(found.boxes) > 20
    boxes = np.array([[face["bbox"][corner] for corner in ("x1", "y1", "x2", "y2")] for face in answer], np.float32)
    scores = np.array([face["confidence"] for face in answer])
    order = [same for _, same in sorted(pair_up(found.boxes, boxes).items())]  # equal scores may swap
    np.testing.assert_allclose(boxes[order], found.boxes, atol=0.5)
    np.testing.assert_allclose(scores[order], found.scores, atol=0.002)


def test_in_a_crowd_all_sheets_are_looked_at_and_without_them_one_look_is_all(served: Served) -> None:
    closer, once = (served.detect("crowd_lumia.jpg", query)["processing"] for query in ("", "closer=false"))
    assert (closer["closer"], closer["passes"]) == (CLOSER_SHEETS.most_of(SIDE), 1 + SHEETS)
    assert (once["closer"], once["passes"]) == (0, 1)
