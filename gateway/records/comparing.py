"""The comparison of images and objects, once a day by one process of all hosts: neither may be without the other.

An object without a row is what a power cut brought back, a row without an object what somebody deleted behind our back.
But so it looks, too, when database or storage came back from a backup. So an object is deleted when the longest time of
pictures is over, as with its row; and rows are not while more than a share of all has lost its objects.
Young ones are left alone: they may be under way.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
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
#: Rows that may have lost their objects, and the share of all beyond it.
MISSING_MAX, MISSING_SHARE = 100, 0.1
#: What we put: objects, and what a put left that was cut off. Whatever else is there is not ours.
_OURS = re.compile(rf"\.?({OBJECT_NAME})(\..*)?")

Heads = NDArray[np.uint64]


async def compare_daily(images: Images) -> None:
    """Where it is time. What is down is tried again a day later: the sweeper does what is urgent."""
    try:
        if await images.asked(lambda: storage_mark.take_comparison(images.database, images.now(), DAY_S)):
            await compare(images)
    except FaceApiError:
        return  # told by the conditions


async def compare(images: Images) -> None:
    """Both ways; deletes what is alone, and counts it. ConfigurationError, StoreDown, StorageDown."""
    await images.settle()  # an empty mount point would make all rows look alone
    now, there, waiting = images.now(), [_heads([])], 0
    async for page in _pages(images):
        there.append(_heads(_whose(each.name) for each in page))
        alone = await _alone(images, [each for each in page if each.written_at < now - YOUNG_S])
        over = [each for each in alone if _is_over(each, now, images.ttl_s)]
        await _delete(images, over)
        waiting += len(alone) - len(over)
    if waiting:
        _log().warning("%d pictures have no row; each is deleted when FACE_API_RECORDS_TTL is over for it", waiting)
    await _doom_alone(images, np.sort(np.concatenate(there)), now - YOUNG_S)


async def erase_alone(images: Images, before: float) -> int:
    """How many: objects without a row that were written before this moment. StoreDown, StorageDown."""
    count, young = 0, images.now() - YOUNG_S
    async for page in _pages(images):
        old = [each for each in page if each.written_at < (before if _is_whole(each) else min(before, young))]
        alone = await _alone(images, old)
        await _delete(images, alone)
        count += len(alone)
    return count


async def _pages(images: Images) -> AsyncIterator[list[ListedObject]]:
    """All that is ours."""
    listing = images.storage.objects.found()
    while page := await images.storage.call(lambda: list(islice(listing, STEP))):
        yield [each for each in page if _OURS.fullmatch(each.name)]


async def _alone(images: Images, old: Sequence[ListedObject]) -> list[ListedObject]:
    names = [each.name for each in old]
    known = await images.asked(partial(image_table.known_objects, images.database, names))
    return [each for each in old if each.name not in known]


def _is_over(alone: ListedObject, now: float, ttl_s: float) -> bool:
    return not _is_whole(alone) or alone.written_at < now - ttl_s


def _is_whole(each: ListedObject) -> bool:
    """Not what a put left that was cut off, which is nobody's picture."""
    return each.name == _whose(each.name)


async def _delete(images: Images, alone: Sequence[ListedObject]) -> None:
    await images.storage.delete([each.name for each in alone])
    images.storage.condition.alone += len(alone)


async def _doom_alone(images: Images, there: Heads, before: float) -> None:
    """there: sorted heads of all names that are."""
    rows, missing = 0, 0
    async for page in _rows(images):
        rows, missing = rows + len(page), missing + len(_missing(page, there, before))
    if missing > max(MISSING_MAX, rows * MISSING_SHARE):
        _log().error(
            "%d of %d pictures are not in %s: too many for an accident, so their rows stay; bring the storage back, or "
            "erase them by date", missing, rows, images.storage.objects.place,
        )  # fmt: skip
        return
    async for page in _rows(images):
        for row in _missing(page, there, before):
            if await images.storage.read(row.object) is None:
                doomed = partial(image_table.doom_one, images.database, row.key_id, row.id, images.now())
                await images.finish(await images.asked(doomed))
                images.storage.condition.missing += 1


async def _rows(images: Images) -> AsyncIterator[list[KeptImage]]:
    """Of all stored images."""
    last = ""
    while rows := await images.asked(partial(image_table.stored_after, images.database, last, STEP)):
        last = rows[-1].id
        yield rows


def _missing(rows: Sequence[KeptImage], there: Heads, before: float) -> list[KeptImage]:
    old = [row for row in rows if row.created_at < before]
    present = np.isin(_heads(row.object for row in old), there, assume_unique=False)
    return [row for row, is_there in zip(old, present, strict=True) if not is_there]


def _whose(name: str) -> str:
    """The object that it is, or that a put was to make of it."""
    match = _OURS.fullmatch(name)
    assert match is not None
    return match[1]


def _heads(names: Iterator[str] | Sequence[str]) -> Heads:
    """The first 64 of the 128 random bits of each name: eight bytes instead of eighty, of a million of them."""
    return np.fromiter((int(name[:16], 16) for name in names), np.uint64)


def _log() -> logging.Logger:
    return logging.getLogger("face_api.storage")
