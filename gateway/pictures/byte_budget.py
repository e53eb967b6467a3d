"""How many bytes may be held at once: first come, first served. Alone knows who waits."""

from __future__ import annotations

import asyncio
from collections import deque


class ByteBudget:
    """A bounded number of bytes on one event loop; `take` waits its turn, `give` wakes the next."""

    def __init__(self, total: int) -> None:
        assert total > 0
        self.total = total
        self.free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, wanted: int) -> int:
        """Holds `wanted` bytes for the caller, who may have to wait, and returns how many to give back.

        Who wants more than there is gets all there is: he waits until he is alone.
        """
        assert wanted >= 0
        wanted = min(wanted, self.total)
        if not self._waiting and wanted <= self.free:
            self.free -= wanted
            return wanted
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(wanted, turn)
            raise
        return wanted

    def give(self, held: int) -> None:
        """Gives back what `take` held, or a part of it."""
        self.free += held
        assert self.free <= self.total
        self._wake()

    def _leave(self, wanted: int, turn: asyncio.Future[None]) -> None:
        """Leaves the line; a turn that was granted in the same tick goes back."""
        if turn.done() and not turn.cancelled():
            self.give(wanted)
            return
        turn.cancel()
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            wanted, turn = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
                continue
            if wanted > self.free:
                return
            self._waiting.popleft()
            self.free -= wanted
            turn.set_result(None)
