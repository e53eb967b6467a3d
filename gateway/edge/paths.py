"""Paths as people write them: a slash too many, two in a row, another case. Pure.

Nothing is redirected for it: whoever follows may send a photograph and a key in clear, or twice. The answer names the
right path instead.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import lru_cache

from starlette.routing import BaseRoute

#: No path of ours is longer; what is, is not looked at closely.
PATH_LENGTH_MAX = 512


def tidy(path: str) -> str:
    """The path with single slashes, none at its end, and without `.` and `..`."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def right_path(path: str, routes: Iterable[BaseRoute]) -> str | None:
    """The path that a mistaken one was meant for; None when no route is like it, or it is none but right."""
    if len(path) > PATH_LENGTH_MAX:
        return None
    tidied = tidy(path)
    for route in routes:
        regex, form = getattr(route, "path_regex", None), getattr(route, "path_format", None)
        found = _whatever_case(regex.pattern).match(tidied) if regex is not None else None
        if found and form is not None:
            meant = str(form).format(**found.groupdict())
            return meant if meant != path else None
    return None


@lru_cache(256)
def _whatever_case(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
