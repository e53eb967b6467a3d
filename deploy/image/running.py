"""An image as a container without any right, and a picture masked in it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence

from deploy.timings import TimeTable, of_hosts

#: No network: it is asked from inside. What it may write to: the volume of its data, and memory.
HARDENED = (
    "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "none",
    "--tmpfs", "/tmp:rw,size=256m",  # noqa: S108 — its own
    "--runtime", "runc", "--cgroup-manager", "cgroupfs",
    "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096",
)  # fmt: skip
READY_S_MAX = 300.0

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
#: Waits in the container: a look from outside starts a process of its own, and many of them kept a small machine busy.
WAIT = f"""
import time
from deploy.healthcheck import address, answers
from shared.environment import load
end = time.monotonic() + {READY_S_MAX}
while not answers(address(load()[0]) + "/readyz"):
    assert time.monotonic() < end, "it does not become ready"
    time.sleep(0.5)
"""
#: What the kernel says of the process that listens to strangers, and that it may do nothing.
STATUS = """
import pathlib
lines = pathlib.Path("/proc/1/status").read_text().splitlines()
words = {line.split(":")[0]: line.split()[1] for line in lines if len(line.split()) > 1}
wanted = {"Uid": "65532", "NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapBnd": "0" * 16}
print("; ".join(f"{word} {words[word]}" for word in wanted))
assert wanted == {word: words[word] for word in wanted}
try:
    pathlib.Path("/app/written").write_text("")
    raise SystemExit("the root is writable")
except OSError as error:
    print("the root:", error.strerror)
"""
#: Compares the list of parts with what is installed, in the container itself.
LIST = (
    "-m", "deploy.image.sbom", "--site", "/opt/site", "--debian", "/var/lib/dpkg/status",
    "--out", "/usr/share/face-api", "--check", "/usr/share/doc",
)  # fmt: skip


class NotAsPromised(Exception):
    """What the image did not do, with the last lines of its log."""


def masked_in(image: str) -> Iterator[str]:
    """What was seen, line by line. Raises NotAsPromised where it does not work."""
    container = _podman("run", "--detach", *HARDENED, *_times(TimeTable()), image)
    try:
        began = time.monotonic()
        if not _succeeds(*_inside(container, "-c", WAIT)):
            raise NotAsPromised(f"it does not become ready\n{_last_words(container)}")
        yield f"ready after {time.monotonic() - began:.1f} s"
        yield _podman(*_inside(container, "-c", STATUS))
        yield f"mask: {_podman(*_inside(container, '-c', ASK))}"
        yield f"its list of parts: {_podman(*_inside(container, *LIST)) or 'whole, with a licence each'}"
        began = time.monotonic()
        _podman("stop", container)
        yield f"stopped after {time.monotonic() - began:.1f} s"
        if code := int(_podman("inspect", "--format", "{{.State.ExitCode}}", container)):
            raise NotAsPromised(f"it ended with {code} when it was stopped\n{_last_words(container)}")
    finally:
        _succeeds("rm", "--force", "--volumes", container)


def _times(table: TimeTable) -> Iterator[str]:
    """As behind a balancer: whoever stops it waits as long as the service itself may take, and a little."""
    for name, value in of_hosts(table).items():
        yield from ("--env", f"{name}={value}")
    yield from ("--stop-timeout", f"{table.grace:.0f}")


def _inside(container: str, *words: str) -> Sequence[str]:
    return ["exec", container, "python3.11", *words]


def _last_words(container: str) -> str:
    done = subprocess.run(["podman", "logs", "--tail", "20", container], check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def _succeeds(*words: str) -> bool:
    return subprocess.run(["podman", *words], capture_output=True, check=False).returncode == 0


def _podman(*words: str) -> str:
    """What it says. Raises NotAsPromised with its complaint where it fails."""
    done = subprocess.run(["podman", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotAsPromised(f"podman {words[0]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()
