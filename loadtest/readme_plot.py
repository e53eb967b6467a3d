"""`python -m loadtest.readme_plot`: the README's plot, drawn from the table of `loadtest/README.md`.

One SVG with its own colours for light and dark pages; no text of it is smaller than 12 pixels.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

SOURCE = ROOT / "loadtest" / "README.md"
TARGET = ROOT / "deploy" / "readme" / "speed.svg"
HEADING = "### 128 clients, 500M in fp32"
#: Columns of the table: of the limit, by whom.
SERVERS = {"face-api": 2, "mosec": 3, "LitServe": 4}

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 760, 150, 16, 56, 19, 14
SHARE_MAX = 1.2
#: A bar of at least this share holds its figure.
ROOM = 0.1
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 }
.value, .v0, .v1, .v2 { font-size: 12px } .limit { stroke: #57606a; stroke-dasharray: 4 3 }
.b0 { fill: #0969da } .b1 { fill: #a8b1bb } .b2 { fill: #d5dae0 } .v0 { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .limit { stroke: #9198a1 }
.b0 { fill: #4493f8 } .b1 { fill: #656d76 } .b2 { fill: #41474e } .v0 { fill: #0d1117 }
}
"""


class Kind(NamedTuple):
    """One kind of picture, and each server's answers as a share of the limit's."""

    words: str
    shares: list[float]


def kinds_of(page: str) -> list[Kind]:
    """The rows of the table under `HEADING`."""
    section = page.partition(HEADING)[2].partition("\n### ")[0]
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in section.splitlines() if line.startswith("| ")]
    return [Kind(row[0], [float(row[column]) for column in SERVERS.values()]) for row in rows[2:]]


def plot_of(kinds: list[Kind]) -> str:
    """The whole SVG."""
    group = len(SERVERS) * BAR + GAP
    bottom = TOP + len(kinds) * group
    height = bottom + 24
    parts = [_text(LEFT, 20, "Answers a second, as a share of the same work without any server", "title")]
    parts.append(f'<line class="limit" x1="{_x(1):g}" x2="{_x(1):g}" y1="{TOP - 6}" y2="{bottom - 4}"/>')
    parts += [_key(place, name) for place, name in enumerate(SERVERS)]
    for row, kind in enumerate(kinds):
        top = TOP + row * group
        middle = top + len(SERVERS) * BAR / 2 + 4
        parts.append(_text(LEFT - 12, middle, kind.words, "kind", anchor="end"))
        parts += [_bar(place, top + place * BAR, share) for place, share in enumerate(kind.shares)]
    parts.append(_text(_x(1), bottom + 12, "1.0: a server that costs nothing", "value", anchor="middle"))
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<style>{STYLE}</style>\n{body}\n</svg>\n'


def _x(share: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * share / SHARE_MAX


def _bar(place: int, top: float, share: float) -> str:
    bar = f'<rect class="b{place}" x="{LEFT}" y="{top:g}" width="{_x(share) - LEFT:g}" height="{BAR - 3}" rx="2"/>'
    inside = share >= ROOM
    x, style, anchor = (_x(share) - 6, f"v{place}", "end") if inside else (_x(share) + 6, "value", "start")
    return bar + _text(x, top + BAR - 6, f"{share:.2f}", style, anchor=anchor)


def _key(place: int, name: str) -> str:
    left = LEFT + place * 110
    return f'<rect class="b{place}" x="{left}" y="31" width="12" height="12" rx="2"/>' + _text(
        left + 18, 42, name, "key"
    )


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def main() -> None:
    TARGET.write_text(plot_of(kinds_of(SOURCE.read_text(encoding="utf-8"))), encoding="utf-8")
    print(TARGET)


if __name__ == "__main__":
    main()
