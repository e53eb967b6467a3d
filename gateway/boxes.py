"""Boxes, and faces by their index, as callers send them: JSON in a form field or the query. Pure.

    [0, 2, [10, 20, 110, 140], {"x1": 10, "y1": 20, "x2": 110, "y2": 140}]

A box is its top left and bottom right corner in pixels of the upright picture, as detect answers it.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec

#: x1 y1 x2 y2.
Box = tuple[float, float, float, float]
#: A face by its index in detect's answer, or by its box.
Pick = int | Box
Boxes = tuple[Box, ...]
Picks = tuple[Pick, ...]

#: More than a person draws, and few enough to compare with every face.
PICKS_MAX = 256
#: No picture reaches so far.
COORDINATE_MAX = 1_000_000

_CORNERS = ("x1", "y1", "x2", "y2")
_LIST = f"a JSON list, at most {PICKS_MAX} long, of"
#: What a list is, for callers.
WORDS = {
    Boxes: f"{_LIST} boxes [x1, y1, x2, y2] in pixels, such as [[10, 20, 110, 140]]",
    Picks: f"{_LIST} indices of detect's answer and boxes [x1, y1, x2, y2] in pixels, such as [0, [10, 20, 110, 140]]",
}


def read(text: str, *, indices: bool) -> tuple[Picks | None, str]:
    """The list, or None and what is wrong with it. indices: whether faces may be meant by their number as well."""
    try:
        items = msgspec.json.decode(text.encode())
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None, "is not JSON"
    if not isinstance(items, list):
        return None, "is not a list"
    if len(items) > PICKS_MAX:
        return None, f"has {len(items)} entries"
    picks: list[Pick] = []
    for place, item in enumerate(items):
        try:
            picks.append(_index(item) if indices and _is_whole(item) else _box(item))
        except ValueError as error:
            return None, f"is not allowed: its entry {place} {error}"
    return tuple(picks), ""


def indices_of(picks: Picks) -> list[int]:
    return [pick for pick in picks if isinstance(pick, int)]


def boxes_of(picks: Picks) -> list[Box]:
    return [pick for pick in picks if not isinstance(pick, int)]


def _index(item: int) -> int:
    if not 0 <= item < COORDINATE_MAX:
        raise ValueError("is no index of a face")
    return item


def _box(item: Any) -> Box:
    """Raises ValueError with what is wrong with it."""
    corners = [item.get(name) for name in _CORNERS] if isinstance(item, dict) else item
    if not isinstance(corners, list) or len(corners) != len(_CORNERS) or not all(map(_is_number, corners)):
        raise ValueError("is not four numbers")
    if max(map(abs, corners)) > COORDINATE_MAX:
        raise ValueError(f"reaches beyond {COORDINATE_MAX:,} pixels")
    x1, y1, x2, y2 = map(float, corners)
    if x1 >= x2 or y1 >= y2:
        raise ValueError("is empty: x1 must be less than x2, and y1 less than y2")
    return x1, y1, x2, y2


def _is_whole(item: Any) -> TypeGuard[int]:
    return isinstance(item, int) and not isinstance(item, bool)


def _is_number(item: Any) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool)
