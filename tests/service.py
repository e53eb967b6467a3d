"""The whole service as tests use it: started by the launcher on a free port, ended and checked for leftovers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.runtime_dir import PREFIX

ROOT = Path(__file__).resolve().parent.parent
#: In it lies what hides packages that a server is installed without; structlog would import rich in every process.
AS_INSTALLED = ROOT / "tests" / "as_installed"
SHARED = ROOT.parent / "shared"
PHOTOS = SHARED / "photos"
OFFICIAL_MODELS = SHARED / "models"

START_S_MAX = 120
#: What a request may take where a test does not ask for less: no test is about how long a busy machine takes.
REQUEST_S_MAX = 300
STOP_S_MAX = 60

#: For a service that is not asked how it shares work: as few processes as can serve.
SMALL = {"workers": 1, "decode_processes": 1}


@dataclass
class Service:
    """A running service. url: without a slash at the end. lines: everything it printed so far."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)
    reader: threading.Thread | None = None

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.search(r"face-api is ready at (\S+)", line):
                self.url = match[1]
            if "stop it" in line or "ended by itself" in line or "cannot start" in line:
                self.ready.set()
        self.ready.set()

    def begin_reading(self) -> None:
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def stop(self) -> int:
        """SIGTERM to the launcher; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S_MAX)

    def close(self) -> None:
        """Whatever state it is in: gone, and its output read to the end."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.reader is not None
        self.reader.join(STOP_S_MAX)
        assert self.process.stdout is not None
        self.process.stdout.close()


def environment(**settings: object) -> dict[str, str]:
    """This process's environment with only the given FACE_API_ settings.

    Access control is off, requests have all the time they need, and no load balancer is waited for at the end, unless
    asked. Packages that serving does not need are not there, though they are where tests run.
    """
    rest = {name: value for name, value in os.environ.items() if not name.startswith("FACE_API_")}
    wanted: dict[str, object] = {"port": 0, "api_key_enabled": "false", "rate_limit_enabled": "false"}
    wanted |= {"drain_delay": 0.0, "request_timeout": REQUEST_S_MAX} | settings
    chosen = {f"FACE_API_{name.upper()}": str(value) for name, value in wanted.items()}
    return rest | chosen | {"PYTHONPATH": f"{ROOT}:{AS_INSTALLED}", "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def running_service(data_dir: Path, **settings: object) -> Iterator[Service]:
    """A ready service; at the end SIGTERM stops it: it must exit with 0 and leave no process and no file behind."""
    with tempfile.TemporaryDirectory(prefix="fa-") as temporary:
        service = start(data_dir, temporary=temporary, **settings)
        try:
            assert service.ready.wait(START_S_MAX), f"not ready in {START_S_MAX} s:\n{service.output}"
            assert service.url, service.output
            yield service
            descendants = processes_below(service.process.pid)
            assert service.stop() == 0, service.output
            assert not [pid for pid in descendants if is_running(pid)], service.output
            assert not list(Path(temporary).glob(f"{PREFIX}*"))
        finally:
            service.close()


def start(
    data_dir: Path,
    *,
    before: Sequence[str] = (),
    module: str = "deploy.launch",
    temporary: str = "",
    **settings: object,
) -> Service:
    """The launcher, not yet ready. before: words of a command that runs another, as `ip netns exec` does.

    temporary: the system's temporary folder, as the service has it; unix sockets lie in it, so its path is short.
    """
    process = subprocess.Popen(
        [*before, sys.executable, "-m", module],
        cwd=ROOT,
        env=environment(data_dir=data_dir, **settings) | ({"TMPDIR": temporary} if temporary else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    service = Service(process)
    service.begin_reading()
    return service


def processes_below(pid: int) -> list[int]:
    """Process ids of all children, grandchildren and so on."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(text) for task in tasks for text in (task / "children").read_text().split()]
    except OSError:
        return []
    return children + [below for child in children for below in processes_below(child)]


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than an unburied zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
