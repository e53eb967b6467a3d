"""What the whole service costs when nobody asks anything: processor time of every process of it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from loadtest.cpu_time import cpu_seconds, processes_below
from tests.service import ROOT, running_service

SHARE_MAX = 0.01
#: Until the start is over: the canary has flown, files are written.
SETTLE_S = 5.0


def idle(seconds: float) -> tuple[list[str], bool]:
    """With the shipped network; kept when all processes together take less than 1 % of one core."""
    with tempfile.TemporaryDirectory(prefix="fa-") as text:
        folder = Path(text)
        wanted = {"model": ROOT / "models/open/scrfd_500m_open.onnx", "precision": "fp32", "log_level": "warning"}
        with running_service(folder, runtime_dir=folder / "run", **wanted) as service:
            time.sleep(SETTLE_S)
            pids = [service.process.pid, *processes_below(service.process.pid)]
            before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
            time.sleep(seconds)
            spent = [cpu_seconds(pid) - was for pid, was in zip(pids, before, strict=True)]
            wall = time.monotonic() - began
    shares = ", ".join(f"{one / wall * 100:.2f}" for one in spent)
    total = sum(spent) / wall
    line = f"idle for {wall:.0f} s: {total * 100:.2f} % of one core, {len(pids)} processes together ({shares})"
    return [line], total < SHARE_MAX
