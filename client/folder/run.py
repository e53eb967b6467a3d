"""All pictures, several at a time. One reason that holds for all ends it at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from client.calls import AsyncClient
from client.folder.job import Job, Stopped
from client.folder.ledger import Line
from client.folder.plan import Source

#: So many refusals in the same words before any picture is done: a parameter is wrong, not the pictures.
SAME_REFUSALS = 5


async def run(
    client: AsyncClient, job: Job, pictures: Sequence[Source], at_once: int, tell: Callable[[Line], None]
) -> None:
    """Does every picture that is not done yet and tells each one's line, also of those that were. Raises Stopped."""
    waiting = iter(pictures)
    judge = _Judge()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(pictures))):
                group.create_task(_some(client, job, waiting, judge, tell))
    except* Stopped as stopped:
        raise stopped.exceptions[0] from None


async def _some(
    client: AsyncClient, job: Job, waiting: Iterator[Source], judge: _Judge, tell: Callable[[Line], None]
) -> None:
    for source in waiting:
        line = job.known(source) or await job.do(client, source)
        tell(line)
        judge.see(line)


class _Judge:
    """Notices that it is not the pictures."""

    def __init__(self) -> None:
        self._done = False
        self._refusals: Counter[str] = Counter()

    def see(self, line: Line) -> None:
        """Raises Stopped."""
        self._done |= line["status"] == "done"
        if self._done or line["status"] != "refused":
            return
        self._refusals[line["detail"]] += 1
        if self._refusals[line["detail"]] >= SAME_REFUSALS and line["http"] in {404, 405, 422}:
            raise Stopped(f"the first {SAME_REFUSALS} pictures were all refused: {line['detail']}")
