"""How many bytes may be held at once: first come, first served, waiting within the deadline. Alone knows who waits."""

from __future__ import annotations

import asyncio
from collections import deque

from shared.deadline import Deadline
from shared.errors import Overloaded


class ByteBudget:
    """A bounded number of bytes on one event loop; `take` waits its turn, `give` wakes the next."""

    def __init__(self, total: int) -> None:
        assert total > 0
        self.total = total
        self.free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def clamp(self, wanted: int) -> int:
        """What to take for `wanted` bytes: more than the whole budget waits until it is alone, then goes."""
        return min(wanted, self.total)

    async def take(self, wanted: int, deadline: Deadline, now: float) -> None:
        """Holds `wanted` bytes (at most `total`) for the caller; Overloaded when the deadline comes first."""
        assert 0 <= wanted <= self.total
        if not self._waiting and wanted <= self.free:
            self.free -= wanted
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            async with asyncio.timeout(deadline.left_s(now)):
                await turn
        except TimeoutError:
            self._leave(wanted, turn)
            raise Overloaded from None
        except asyncio.CancelledError:
            self._leave(wanted, turn)
            raise

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
