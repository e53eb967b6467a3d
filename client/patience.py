"""When to try again, and when to give up. Decided here alone, for calls that wait and calls that are awaited."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from client.errors import Busy, ClientError, Unreachable

#: Seconds before the first new try when nobody says how long; doubled each time, up to the second.
PAUSE_S, PAUSE_S_MAX = 0.5, 15.0


@dataclass
class Patience:
    """One call's. deadline: seconds that all its tries may take together."""

    deadline: float
    clock: Callable[[], float] = time.monotonic
    tries: int = 0
    until: float = field(init=False)

    def __post_init__(self) -> None:
        self.until = self.clock() + self.deadline

    def pause(self, error: ClientError) -> float:
        """Seconds to wait before the next try. Raises the error when a try is no use or comes too late."""
        if not isinstance(error, Busy | Unreachable):
            raise error
        wait = error.retry_after if isinstance(error, Busy) else None
        if wait is None:
            wait = min(PAUSE_S_MAX, PAUSE_S * 2**self.tries)
        # A little later than asked, each by another little: else all who were refused come back at once.
        wait += random.uniform(0, 0.1 + 0.2 * wait)  # noqa: S311 - no secret
        if self.clock() + wait > self.until:
            raise error
        self.tries += 1
        return wait
