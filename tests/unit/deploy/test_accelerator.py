"""Which onnxruntime build may start on which machine; every refusal holds the line that mends it."""

from __future__ import annotations

import pytest

from deploy.accelerator import installed_builds, problem

CPU, GPU = ["onnxruntime"], ["onnxruntime-gpu"]


@pytest.mark.parametrize(
    ("installed", "gpus", "wanted"),
    [(CPU, 0, "auto"), (CPU, 0, "cpu"), (CPU, 2, "cpu"), (GPU, 1, "auto"), (GPU, 1, "gpu"), (GPU, 0, "cpu")],
)
def test_what_fits_may_start(installed: list[str], gpus: int, wanted: str) -> None:
    assert problem(installed, gpus, wanted) == ""


@pytest.mark.parametrize(
    ("installed", "gpus", "wanted", "mend"),
    [
        (CPU + GPU, 0, "auto", "rm -rf .venv && make install"),
        ([], 0, "auto", "make install"),
        (CPU, 1, "gpu", "make install ACCEL=gpu"),
        (GPU, 0, "gpu", "nvidia-smi"),
        (GPU, 0, "auto", "or set FACE_API_ACCELERATOR=cpu"),
        (CPU, 1, "auto", "ACCEL=gpu"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_mend(installed: list[str], gpus: int, wanted: str, mend: str) -> None:
    assert mend in problem(installed, gpus, wanted)


def test_exactly_one_build_is_installed_here() -> None:
    assert len(installed_builds()) == 1
