"""An asyncio loop whose time stands still while anything runs and leaps to the next timer when nothing does."""

from __future__ import annotations

import asyncio


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs the real coroutines in an order that depends on nothing outside; no sockets, threads or signals."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[object]:
        """What a selector would do: nothing arrives from outside, so waiting is the passing of time."""
        assert timeout is not None, "everything waits and no timer runs"
        self._now += timeout
        return []

    def _process_events(self, event_list: list[object]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
