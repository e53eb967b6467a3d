"""On a real card: the CPU's answers in every way of running, bounded memory, refusals, and the whole service."""

from __future__ import annotations

import random
from pathlib import Path

import httpx2
import numpy as np
import onnx
import onnxruntime
import pytest

from loadtest import gpu
from loadtest.gpu_cells import serving_model
from loadtest.networks import SHAPES, random_scrfd
from models.rewriting.fp16 import to_half
from models.served.facts import ServingModel
from shared.errors import ConfigurationError
from shared.exit_codes import OK
from shared.settings import MEBIBYTE, Settings
from tests.gpu.material import needs_a_card
from tests.networks import beacon_faces, beacon_network, beacon_picture
from tests.service import running_service
from worker.cuda_device import CudaRuntime
from worker.detector import OnnxDetector
from worker.detector_gpu import GpuDetector, open_on_gpu
from worker.gpu_check import check_against
from worker.gpu_options import CUDA
from worker.pipeline import Pipeline
from worker.scrfd import candidates

pytestmark = needs_a_card
SIDE, SECOND, LARGEST = 320, 128, 8
#: What may come and go with other processes and the driver's own blocks.
MEMORY_NOISE = 64 * MEBIBYTE


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServingModel]:
    """The 2.5G shape with random weights in both precisions."""
    folder = tmp_path_factory.mktemp("models")
    full = random_scrfd(SHAPES["2.5g"], SIDE)
    found = {}
    for precision, network in (("fp32", full), ("fp16", to_half(full))):
        onnx.save(network, folder / f"{precision}.onnx")
        found[precision] = serving_model(folder / f"{precision}.onnx", "random", precision, SIDE)
    return found


def on_card(model: ServingModel, **settings: object) -> GpuDetector:
    chosen = Settings(**({"gpu_memory_limit_mb": 2048} | settings))  # type: ignore[arg-type]
    detector = open_on_gpu(model, 0, chosen, [SIDE, SECOND], LARGEST, print)
    detector.warm_up(print)
    return detector


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("heads", ["reduced", "raw"])
@pytest.mark.parametrize("graphs", [True, False])
def test_every_bucket_and_slot_answers_as_the_cpu_does(
    models: dict[str, ServingModel], precision: str, heads: str, graphs: bool
) -> None:
    detector = on_card(models[precision], gpu_heads=heads, cuda_graphs=graphs)
    assert detector.provider == CUDA
    truth = OnnxDetector(models[precision].path, 2)
    check_against(truth, detector, [SIDE, SECOND], LARGEST, print)


@pytest.mark.parametrize("search", ["heuristic", "exhaustive", "default"])
def test_every_search_of_convolutions_answers_alike(models: dict[str, ServingModel], search: str) -> None:
    detector = on_card(models["fp16"], cudnn_conv_algo_search=search)
    check_against(OnnxDetector(models["fp16"].path, 2), detector, [SIDE], LARGEST, print)


def test_a_crowd_loses_nobody(models: dict[str, ServingModel]) -> None:
    detector, truth = on_card(models["fp32"]), OnnxDetector(models["fp32"].path, 2)
    picture = np.random.default_rng(5).integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    expected = truth.run(picture)
    detector.rooms(SIDE, LARGEST)[0][:1] = picture
    detector.submit(SIDE, 0, 1)
    ((heads, row),) = detector.collect(SIDE, 0, [0.0])
    assert len(candidates(heads, row, 1.0, 0.0)) == len(candidates(expected, 0, 1.0, 0.0))


def test_memory_stays_within_its_bound_over_any_order_of_batch_sizes(models: dict[str, ServingModel]) -> None:
    runtime = CudaRuntime(onnxruntime.cuda_version)
    detector = on_card(models["fp16"])
    free_before, _ = runtime.memory()
    order = random.Random(3)
    for _ in range(2000):
        side, count = order.choice([SIDE, SECOND]), order.randint(1, LARGEST)
        for room in (0, 1):
            detector.submit(side, room, count)
        for room in (0, 1):
            detector.collect(side, room, [0.5] * count)
    free_after, _ = runtime.memory()
    assert free_before - free_after <= MEMORY_NOISE


def test_the_pipeline_is_healthy_on_it(models: dict[str, ServingModel]) -> None:
    pipeline = Pipeline(on_card(models["fp16"]), LARGEST, print)
    assert pipeline.depth == 2
    assert pipeline.healthy()


def test_a_card_that_is_not_there_is_refused_with_its_mend(models: dict[str, ServingModel]) -> None:
    with pytest.raises(ConfigurationError, match="FACE_API_WORKERS"):
        open_on_gpu(models["fp32"], 99, Settings(), [SIDE], 1, print)


def test_the_service_detects_on_the_card_and_says_so(tmp_path: Path) -> None:
    faces = [(200.0, 150.0, 90.0, 0.9), (420.0, 300.0, 60.0, 0.8)]
    model = beacon_network(tmp_path / "beacons.onnx")
    settings = {"model": model, "precision": "fp32", "accelerator": "gpu", "mask_second_side": 0}
    with running_service(tmp_path / "data", **settings) as service:
        health = httpx2.get(f"{service.url}/health").json()
        assert (health["provider"], health["precision"]) == (CUDA, "fp32")
        body = png(beacon_picture(faces))
        answer = httpx2.post(f"{service.url}/api/v1/detect", content=body, headers={"Content-Type": "image/png"}).json()
    assert len(answer["detections"]) == len(beacon_faces(faces))


def png(pixels: np.ndarray) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", pixels)[1])


def test_the_measurement_runs(tmp_path: Path) -> None:
    quick = ["--side", str(SIDE), "--batches", "1", "8", "--networks", "2.5g", "--ways", "default", "graphs"]
    assert gpu.main([*quick, "--seconds", "0.05", "--rounds", "2", "--out", str(tmp_path)]) == OK
