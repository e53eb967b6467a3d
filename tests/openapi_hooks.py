"""What schemathesis sends as a picture: pictures of every format, as often as noise. Loaded by `verify_openapi.py`."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.fuzz import picture_seeds

MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
_PICTURES = [
    picture
    for made in (picture_seeds.jpeg, picture_seeds.png, picture_seeds.webp, picture_seeds.bmp, picture_seeds.tiff)
    for picture in made()
]
TIMEOUT, ENOUGH_MS = "X-Request-Timeout-Ms", 60_000
_FILES = st.one_of(st.sampled_from(_PICTURES), st.binary(max_size=2000))

schemathesis.openapi.format("binary", _FILES)
for media_type in MEDIA_TYPES:
    schemathesis.openapi.media_type(media_type, _FILES)


@schemathesis.hook
def filter_headers(_context: schemathesis.HookContext, headers: dict[str, Any] | None) -> bool:
    """A number that became nothing on the way is as good as left out, which no schema of a header says."""
    return (headers or {}).get(TIMEOUT, ENOUGH_MS) not in (None, "", [], {})


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]) -> None:
    """A caller who gives us a millisecond is told that we are busy; here everybody has time."""
    asked = str((case.headers or {}).get(TIMEOUT, ""))
    if asked.isdigit() and 1 <= int(asked) < ENOUGH_MS:
        case.headers[TIMEOUT] = str(ENOUGH_MS)
