"""Whether people who see badly, or who use a keyboard or a screen reader, get along with a page: axe-core's judgement."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = ("serious", "critical")
LOOKS = ((1280, "light"), (390, "dark"))
#: Swagger's buttons take their time to change colour, whoever wants less motion.
SETTLED = """async () => {
  await Promise.allSettled(document.getAnimations().filter(one => one.transitionProperty).map(one => one.finished))
}"""


def grave(page: Page) -> list[str]:
    """What axe-core finds serious or critical on the page as it is now shown, in each look; a line for each element."""
    return [found for width, scheme in LOOKS for found in _in_look(page, width, scheme)]


def _in_look(page: Page, width: int, scheme: str) -> list[str]:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(SETTLED)
    return [
        f"{width} px, {scheme}: {fault['id']} {node['target']}: {node['failureSummary']}"
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]
