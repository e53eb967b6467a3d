"""The comparison of images and objects, once a day by one process of all hosts: neither may be without the other.

An object without a row is what a power cut brought back, or a put that came after it was given up; a row without an
object is what somebody deleted behind our back. Young ones are left alone: they may be under way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gateway.records import image_table, storage_mark
from gateway.records.image import OBJECT_NAME, KeptImage
from gateway.records.images import Images
from gateway.stores.objects import ListedObject
from shared.errors import FaceApiError

#: How often a process looks whether it is time, and how long a comparison is enough for.
LOOK_S, DAY_S = 3600.0, 86_400.0
YOUNG_S = 3600.0
#: Objects and rows that are compared in one step.
STEP = 500
#: What we put: objects, and what a put left that was cut off. Whatever else is there is not ours.
_OURS = re.compile(rf"\.?({OBJECT_NAME})(\..*)?")


async def compare_daily(images: Images) -> None:
    """Where it is time. What is down is tried again a day later: the sweeper does what is urgent."""
    try:
        if await images.asked(lambda: storage_mark.take_comparison(images.database, images.now(), DAY_S)):
            await compare(images)
    except FaceApiError:
        return  # told by the conditions


async def compare(images: Images) -> None:
    """Both ways; deletes what is alone, and counts it. ConfigurationError, StoreDown, StorageDown."""
    await images.settle(again=True)  # an empty mount point would make all rows look alone
    before, listing, there = images.now() - YOUNG_S, images.storage.objects.found(), []
    while page := await images.storage.call(lambda: list(islice(listing, STEP))):
        ours = [(each, match[1]) for each in page if (match := _OURS.fullmatch(each.name))]
        there.append(_heads(name for _, name in ours))
        await _delete_alone(images, [each for each, _ in ours if each.written_at < before])
    await _doom_alone(images, np.sort(np.concatenate([*there, _heads([])])), before)


async def _delete_alone(images: Images, old: Sequence[ListedObject]) -> None:
    names = [each.name for each in old]
    known = await images.asked(partial(image_table.known_objects, images.database, names))
    alone = [name for name in names if name not in known]
    await images.storage.delete(alone)
    images.storage.condition.alone += len(alone)


async def _doom_alone(images: Images, there: NDArray[np.uint64], before: float) -> None:
    """there: sorted heads of all names that are."""
    last = ""
    while rows := await images.asked(partial(image_table.stored_after, images.database, last, STEP)):
        last = rows[-1].id
        old = [row for row in rows if row.created_at < before]
        for row in _missing(old, there):
            if await images.storage.read(row.object) is None:
                doomed = partial(image_table.doom_one, images.database, row.key_id, row.id, images.now())
                await images.finish(await images.asked(doomed))
                images.storage.condition.missing += 1


def _missing(rows: Sequence[KeptImage], there: NDArray[np.uint64]) -> list[KeptImage]:
    present = np.isin(_heads(row.object for row in rows), there, assume_unique=False)
    return [row for row, is_there in zip(rows, present, strict=True) if not is_there]


def _heads(names: Iterator[str] | Sequence[str]) -> NDArray[np.uint64]:
    """The first 64 of the 128 random bits of each name: eight bytes instead of eighty, of a million of them."""
    return np.fromiter((int(name[:16], 16) for name in names), np.uint64)
