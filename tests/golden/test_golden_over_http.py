"""The reference implementation's faces, over HTTP: every golden photograph, one at a time and 64 at once.

One at a time with all thresholds is in `make verify`: tests/verify_golden.py.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.service import OFFICIAL_MODELS, PHOTOS, REQUEST_S_MAX, SHARED, running_service

MODELS = ("scrfd_500m_kps", "scrfd_2.5g_bnkps")
THRESHOLDS = ((0.5, 0.4), (0.3, 0.3))
BOX_TOLERANCE_PX = 0.5
SCORE_TOLERANCE = 0.002

pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason="the golden photographs are not beside the project")


@dataclass(frozen=True)
class Served:
    model: str
    client: httpx2.Client

    def detect(self, name: str, confidence: float, nms_threshold: float) -> dict[str, Any]:
        path = PHOTOS / name if (PHOTOS / name).exists() else PHOTOS / "exif" / name
        response = self.client.post(
            "/api/v1/detect",
            params={"confidence": confidence, "nms_threshold": nms_threshold},
            files={"image": (name, path.read_bytes())},
        )
        assert response.status_code == 200, (name, response.text)
        return response.json()


@pytest.fixture(scope="module", params=MODELS)
def served(
    request: pytest.FixtureRequest, with_official_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    data_dir = Path(shutil.copytree(with_official_models / "data", tmp_path_factory.mktemp("golden") / "data"))
    settings = {"model": request.param, "model_dir": OFFICIAL_MODELS, "precision": "fp32"}
    with running_service(data_dir, **settings) as service:
        limits = httpx2.Limits(max_connections=64)
        with httpx2.Client(base_url=service.url, timeout=REQUEST_S_MAX, limits=limits) as client:
            yield Served(request.param, client)


def golden(model: str, confidence: float, nms_threshold: float) -> dict[str, Any]:
    path = Path(SHARED / "golden" / f"{model}_conf{confidence}_nms{nms_threshold}.json")
    return json.loads(path.read_text())["images"]


def assert_same_faces(answer: dict[str, Any], expected: dict[str, Any], name: str) -> None:
    """Boxes, landmarks and confidences in the reference's order; exact ties in confidence may swap."""
    assert (answer["image"]["width"], answer["image"]["height"]) == (expected["width"], expected["height"]), name
    assert len(answer["detections"]) == len(expected["faces"]), name
    left = list(expected["faces"])
    for face in answer["detections"]:
        match = next((other for other in left if same_face(face, other)), None)
        assert match is not None, (name, face)
        left.remove(match)


def same_face(face: dict[str, Any], other: dict[str, Any]) -> bool:
    box = max(abs(a - b) for a, b in zip(face["bbox"].values(), other["bbox"], strict=True))
    points = zip(face["landmarks"].values(), other["landmarks"], strict=True)
    landmarks = max(abs(a - b) for point, pair in points for a, b in zip(point.values(), pair, strict=True))
    score = abs(face["confidence"] - other["confidence"])
    return box <= BOX_TOLERANCE_PX and landmarks <= BOX_TOLERANCE_PX and score <= SCORE_TOLERANCE


def test_a_photograph_alone_gives_the_references_faces(served: Served) -> None:
    """A third of them, another for each model, with thresholds by turns; `make verify` asks for all."""
    pairs = [golden(served.model, *pair) for pair in THRESHOLDS]
    for number, name in list(enumerate(pairs[0]))[MODELS.index(served.model) :: 3]:
        pair = number % len(THRESHOLDS)
        assert_same_faces(served.detect(name, *THRESHOLDS[pair]), pairs[pair][name], name)


def test_64_at_once_in_random_order_with_mixed_thresholds_give_each_its_own_faces(served: Served) -> None:
    jobs = [(name, pair, expected) for pair in THRESHOLDS for name, expected in golden(served.model, *pair).items()]
    random.Random(5).shuffle(jobs)
    with ThreadPoolExecutor(64) as threads:
        answers = threads.map(lambda job: served.detect(job[0], *job[1]), jobs)
        for (name, _, expected), answer in zip(jobs, answers, strict=True):
            assert_same_faces(answer, expected, name)
