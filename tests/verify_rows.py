"""`make verify`: detection reads some rows of large JPEGs alone, and every file there is looks and fares the same.

Not collected by the ordinary suite, for its time: `python -m pytest tests/verify_rows.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest

from gateway.pictures.image_header import check_complete, check_limits, read_header
from shared.errors import BadImage, TooLarge
from shared.settings import Settings
from tests import in_rows
from tests.unit.pictures.test_decoded_rows import mutated
from tests.unit.pictures.test_kept_jpeg import FILES, SAMPLINGS, by_opencv
from tests.verify_kept import SHARED, jpegs

SETTINGS = Settings()
#: The longer side of 12 megapixels.
LONGER = 4000


def photographs() -> Iterator[cv2.typing.MatLike]:
    """Every one beside the project, of 12 megapixels or more."""
    folders = [SHARED / "photos", SHARED / "everyday"]
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if (pixels := cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)) is not None:
            factor = LONGER / max(pixels.shape[:2])
            yield (
                pixels
                if factor <= 1
                else cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
            )


@pytest.mark.skipif(not (SHARED / "photos").is_dir(), reason="needs ../shared/photos")
def test_every_photograph_is_fitted_to_the_same_pixels() -> None:
    """At every subsampling in turn, with grey and restart markers among them, for one side and for two."""
    tried, kinds = 0, [*SAMPLINGS.values(), None]
    for number, pixels in enumerate(photographs()):
        kind = kinds[number % len(kinds)]
        data = memoryview(by_opencv(pixels, kind, 90) if kind else _grey_with_restarts(pixels))
        sides = ((640,), (640, 256))[number % 2]
        in_some, in_all = in_rows.opened(data, read_header(data), sides, SETTINGS)
        tried += not in_some.pixels.size
        for ours, whole in zip(in_some.crops, in_all.crops, strict=True):
            assert (ours.pixels == whole.pixels).all(), number
    print(f"{tried} fits in rows")
    assert tried > 100


def _grey_with_restarts(pixels: cv2.typing.MatLike) -> bytes:
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 85, cv2.IMWRITE_JPEG_RST_INTERVAL, 40])[1].tobytes()


def test_every_jpeg_there_is_wild_and_hostile_ones_too_has_the_same_rows(capfd: pytest.CaptureFixture[str]) -> None:
    told = {"in rows": 0, "left": 0, "refused": 0}
    for name, data in jpegs():
        view = memoryview(data)
        try:
            check_limits(header := read_header(view), SETTINGS)
            check_complete(view, header, SETTINGS)
        except (BadImage, TooLarge):
            told["refused"] += 1
            continue
        for rows in in_rows.patterns(header.height, len(name)):
            told["in rows" if in_rows.check(view, header, rows, lambda: capfd.readouterr().err) else "left"] += 1
    print(told)
    assert told["in rows"] > 200
    assert told["left"] > 200


def test_two_thousand_mutations_of_every_kind_fare_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    tried = mutated(list(FILES.values()), 2000 * len(FILES), lambda: capfd.readouterr().err)
    print(tried)
    assert tried["in rows"] > 2000
