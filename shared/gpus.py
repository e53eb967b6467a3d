"""Which NVIDIA GPUs this host has for us. The only place that asks the driver."""

from __future__ import annotations

import shutil
import subprocess

#: A driver that does not answer in this time is not there for us.
ASK_TIMEOUT_S = 20


def answering_gpus() -> int:
    """How many NVIDIA GPUs the driver answers for; 0 without a driver."""
    return sum(1 for line in _ask("-L") if line.startswith("GPU "))


def gpus_to_use(accelerator: str) -> int:
    """GPUs that workers should run on. accelerator: the setting FACE_API_ACCELERATOR (auto, cpu, gpu)."""
    return 0 if accelerator == "cpu" else answering_gpus()


def describe_gpus() -> list[dict[str, str]]:
    """Name, driver version and memory (MiB) of each GPU, for reports; empty without a driver."""
    fields = ("name", "driver_version", "memory.total")
    rows = _ask(f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits")
    return [dict(zip(fields, (cell.strip() for cell in row.split(",")), strict=False)) for row in rows]


def _ask(*arguments: str) -> list[str]:
    """The lines nvidia-smi answers; none where it is missing, fails or hangs."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        answer = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=True)
    except (subprocess.SubprocessError, OSError):
        return []
    return answer.stdout.splitlines()
