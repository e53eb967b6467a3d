"""Which onnxruntime build belongs on this machine, and the refusal to run with both or the wrong one.

`python -m deploy.accelerator` prints cpu or gpu for the Makefile; it runs on a bare interpreter.
"""

from __future__ import annotations

import sys
from importlib import metadata

from shared.gpus import answering_gpus

BUILDS = {"cpu": "onnxruntime", "gpu": "onnxruntime-gpu"}


def installed_builds() -> list[str]:
    """The onnxruntime distributions present, by the name pip knows them."""
    return [name for name in BUILDS.values() if _present(name)]


def problem(installed: list[str], gpus: int, wanted: str) -> str:
    """Why this installation must not start, with the line that mends it; empty when it may.

    wanted: the setting FACE_API_ACCELERATOR (auto, cpu, gpu).
    """
    if len(installed) > 1:
        return (
            "onnxruntime and onnxruntime-gpu are both installed and shadow each other; mend it with: "
            "rm -rf .venv && make install"
        )
    if not installed:
        return "onnxruntime is not installed; mend it with: make install"
    if wanted == "gpu" and installed != [BUILDS["gpu"]]:
        return "FACE_API_ACCELERATOR=gpu needs the GPU build; mend it with: rm -rf .venv && make install ACCEL=gpu"
    if wanted == "gpu" and not gpus:
        return "FACE_API_ACCELERATOR=gpu, but no NVIDIA driver answers (nvidia-smi -L); install it, or set cpu"
    if wanted == "auto" and installed == [BUILDS["gpu"]] and not gpus:
        return (
            "the GPU build is installed, but no NVIDIA driver answers (nvidia-smi -L); install it (a container wants "
            "--gpus all), or set FACE_API_ACCELERATOR=cpu to work on processors"
        )
    if wanted == "auto" and gpus and installed == [BUILDS["cpu"]]:
        return (
            "an NVIDIA GPU answers but the CPU build is installed; mend it: rm -rf .venv && make install ACCEL=gpu, "
            "or set FACE_API_ACCELERATOR=cpu to leave the GPU alone"
        )
    return ""


def _present(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.stdout.write("gpu\n" if answering_gpus() else "cpu\n")
