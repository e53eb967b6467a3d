"""What the whole service costs when nobody asks anything: processor time of every process of it.

Where waking a sleeping core is dear, so is everything that wakes: what a process costs that only does is told beside.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from loadtest.cpu_time import cpu_seconds, processes_below
from tests.service import ROOT, running_service

SHARE_MAX = 0.01
#: Until the start is over: the canary has flown, files are written.
SETTLE_S = 5.0
#: Nothing but waking, five times a second.
_WAKER = "import time\nwhile True: time.sleep(0.2)"


def idle(seconds: float) -> tuple[list[str], bool]:
    """With the shipped network; kept when all processes together take less than 1 % of one core."""
    with tempfile.TemporaryDirectory(prefix="fa-") as text:
        folder = Path(text)
        wanted = {"model": ROOT / "models/open/scrfd_500m_open.onnx", "precision": "fp32", "log_level": "warning"}
        with running_service(folder, runtime_dir=folder / "run", **wanted) as service, _waker() as waker:
            time.sleep(SETTLE_S)
            pids = [waker, service.process.pid, *processes_below(service.process.pid)]
            before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
            time.sleep(seconds)
            woken, *spent = [cpu_seconds(pid) - was for pid, was in zip(pids, before, strict=True)]
            wall = time.monotonic() - began
    shares = ", ".join(f"{one / wall * 100:.2f}" for one in spent)
    total = sum(spent) / wall
    return [
        f"idle for {wall:.0f} s: {total * 100:.2f} % of one core, {len(spent)} processes together ({shares})",
        f"a process that does nothing but wake five times a second: {woken / wall * 100:.2f} % of one core",
    ], total < SHARE_MAX


@contextlib.contextmanager
def _waker() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", _WAKER])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()
