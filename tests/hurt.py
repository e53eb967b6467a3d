"""What tests do to a server that is one process: kill it, start it again, freeze it."""

from __future__ import annotations

import signal
import subprocess
from abc import ABC, abstractmethod


class Hurt(ABC):
    """process: the server, which `_start` has found ready."""

    process: subprocess.Popen[bytes]

    @abstractmethod
    def _start(self) -> subprocess.Popen[bytes]: ...

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.process = self._start()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)
