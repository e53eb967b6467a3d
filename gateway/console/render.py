"""Templates to pages: autoescaped always, with the filters that show times and numbers to people.

It alone knows the template folder and the pages' Content-Security-Policy.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from gateway.keys.records import duration

HERE = Path(__file__).parent
# No inline script or style, no other host, no frame: a name shown as text stays text even where we err.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (365, "day"))


def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"moment": moment, "ago": ago, "thousands": thousands, "ms": milliseconds, "duration": duration}
    made.globals |= {"bars": bars}
    return made


def page(made: Environment, name: str, status: int, facts: dict[str, Any]) -> HTMLResponse:
    """A whole page, never cached: keys and names stand on it."""
    headers = {"content-security-policy": POLICY, "cache-control": "no-store"}
    return HTMLResponse(made.get_template(name).render(facts), status_code=status, headers=headers)


def moment(seconds: float | None) -> str:
    """`2026-11-22 13:44 UTC`."""
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def ago(seconds: float | None, now: float) -> str:
    """`3 minutes ago`, `in 2 days`, `just now`."""
    if seconds is None:
        return "never"
    distance = abs(now - seconds)
    if distance < 5:
        return "just now"
    amount, unit = distance, "second"
    for size, name in _STEPS:
        unit = name
        if amount < size or name == "day":
            break
        amount /= size
    count = round(amount)
    words = f"{count} {unit}" + ("" if count == 1 else "s")
    return f"{words} ago" if seconds <= now else f"in {words}"


def thousands(number: float) -> str:
    """`12 345` with narrow no-break spaces."""
    return f"{number:,.0f}".replace(",", "\u202f")


def milliseconds(number: float | None) -> str:
    """`12.3 ms`, or a dash where nothing was measured."""
    if number is None:
        return "–"
    return f"{number:.1f}\u202fms" if number < 100 else f"{number:.0f}\u202fms"


def bars(values: list[int], height: int = 40) -> list[dict[str, float]]:
    """One bar of an SVG chart for each value: x, y and height in a box of 10 units a value."""
    top = max([*values, 1])
    return [
        {"x": n * 10, "height": (tall := round(value / top * height, 1)), "y": round(height - tall, 1)}
        for n, value in enumerate(values)
    ]
