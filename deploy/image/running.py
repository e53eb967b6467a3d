"""An image as a container without any right, and a picture masked in it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence

#: No network: it is asked from inside. What it may write to: the volume of its data, and memory.
HARDENED = (
    "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "none",
    "--tmpfs", "/tmp:rw,size=256m",  # noqa: S108 — its own
    "--runtime", "runc", "--cgroup-manager", "cgroupfs",
    "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096",
)  # fmt: skip
READY_S_MAX = 300.0
STOP_S_MAX = 60

#: Asks the service in its own container: the canary's faces, masked.
ASK = """
import cv2, pathlib, urllib.request
from shared.canary import canary_picture
key = pathlib.Path("/data/first-key.txt").read_text().strip()
picture = cv2.imencode(".png", canary_picture())[1].tobytes()
headers = {"X-API-Key": key, "Content-Type": "image/png"}
with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8000/api/v1/mask", picture, headers)) as answer:
    body = answer.read()
    print(answer.status, answer.headers["Content-Type"], answer.headers["X-Face-Count"], len(body))
    assert answer.status == 200 and int(answer.headers["X-Face-Count"]) > 0
    assert cv2.imdecode(__import__("numpy").frombuffer(body, "uint8"), 1) is not None
"""
#: What the kernel says of the process that listens to strangers.
STATUS = """
import pathlib, os
words = ("Uid", "NoNewPrivs", "Seccomp", "CapEff", "CapBnd")
lines = pathlib.Path("/proc/1/status").read_text().splitlines()
print("; ".join(" ".join(line.split()[:2]) for line in lines if line.split(":")[0] in words))
try:
    pathlib.Path("/app/written").write_text("")
    print("the root is writable")
except OSError as error:
    print("the root:", error.strerror)
"""


def masked_in(image: str) -> Iterator[str]:
    """What was seen, line by line. Raises CalledProcessError or TimeoutError where it does not work."""
    container = _podman("run", "--detach", *HARDENED, image)
    try:
        began = time.monotonic()
        while subprocess.run(
            _inside(container, "-m", "deploy.healthcheck", "readyz"), capture_output=True, check=False
        ).returncode:
            if time.monotonic() - began > READY_S_MAX or not _lives(container):
                raise TimeoutError(subprocess.run(["podman", "logs", container], check=False).args)
            time.sleep(0.5)
        yield f"ready after {time.monotonic() - began:.1f} s"
        yield _podman(*_inside(container, "-c", STATUS)[1:])
        yield f"mask: {_podman(*_inside(container, '-c', ASK)[1:])}"
        sbom = json.loads(_podman("exec", container, "cat", "/usr/share/face-api/sbom.cdx.json"))
        yield f"its list names {len(sbom['components'])} components"
        began = time.monotonic()
        _podman("stop", "--time", str(STOP_S_MAX), container)
        code = _podman("inspect", "--format", "{{.State.ExitCode}}", container)
        yield f"stopped after {time.monotonic() - began:.1f} s with {code}"
    finally:
        subprocess.run(["podman", "rm", "--force", "--volumes", container], capture_output=True, check=False)


def _inside(container: str, *words: str) -> Sequence[str]:
    return ["podman", "exec", container, "python3.11", *words]


def _lives(container: str) -> bool:
    return _podman("inspect", "--format", "{{.State.Running}}", container) == "true"


def _podman(*words: str) -> str:
    return subprocess.run(["podman", *words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
