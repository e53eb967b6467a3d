"""Where these tests run: a card that answers, and a build of onnxruntime for it. Elsewhere they say why not."""

from __future__ import annotations

import onnxruntime
import pytest

from shared.gpus import answering_gpus
from worker.gpu_options import CUDA


def why_not() -> str:
    """In words what is missing; empty where the tests can run."""
    if not answering_gpus():
        return "no NVIDIA GPU answers here (nvidia-smi -L)"
    if CUDA not in onnxruntime.get_available_providers():
        return "a GPU answers, but the CPU build of onnxruntime is installed (make clean install ACCEL=gpu)"
    return ""


needs_a_card = pytest.mark.skipif(bool(why_not()), reason=why_not() or "a card is here")
