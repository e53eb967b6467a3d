"""Chromium as a third witness, where this machine has it: does it show a file, and what does it show?"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from playwright.sync_api import Error, Page

from tests.browser.chromium import chromium, opened
from tests.differential.oddity import Pixels
from tests.differential.readings import NOT_SHOWN

_TYPES = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"RI": "image/webp", b"BM": "image/bmp"}
#: Pixels as stored: neither turned nor converted.
_SHOW = """
(async () => {
    const data = Uint8Array.from(atob("%s"), letter => letter.charCodeAt(0));
    const as_stored = {imageOrientation: "none", colorSpaceConversion: "none", premultiplyAlpha: "none"};
    const shown = await createImageBitmap(new Blob([data], {type: "%s"}), as_stored);
    const canvas = new OffscreenCanvas(shown.width, shown.height);
    const context = canvas.getContext("2d");
    context.drawImage(shown, 0, 0);
    const pixels = context.getImageData(0, 0, shown.width, shown.height).data;
    let text = "";
    for (let at = 0; at < pixels.length; at += 32768)
        text += String.fromCharCode(...pixels.subarray(at, at + 32768));
    return [shown.width, shown.height, btoa(text)];
})()
"""


class Browser:
    """One page that shows one file after the other."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def show(self, data: bytes) -> tuple[str, Pixels | None] | None:
        """ "" and (H, W, 4) BGRA as stored, or the words of the refusal; None for formats no browser reads."""
        kind = _TYPES.get(data[:2])
        if kind is None:
            return None
        try:
            width, height, text = self._page.evaluate(_SHOW % (base64.b64encode(data).decode("ascii"), kind))
        except Error:
            return NOT_SHOWN, None
        pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
        return "", pixels[:, :, [2, 1, 0, 3]]


@contextmanager
def browser() -> Iterator[Browser | None]:
    """A browser for as long as it is wanted; None where there is none."""
    program = chromium()
    if program is None:
        yield None
        return
    with opened(program) as process:
        yield Browser(process.new_page())
