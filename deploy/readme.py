"""`python -m deploy.readme`: writes the table in deploy/SETTINGS.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from shared.settings import Settings
from shared.settings_told import Setting, describe

PAGE = Path(__file__).resolve().parent / "SETTINGS.md"
BEGIN, END = "<!-- settings: made by `make readme` -->", "<!-- end of settings -->"


def markdown(rows: list[Setting]) -> str:
    """The table, a line for each setting."""
    lines = ["| setting | default | range | meaning |", "| --- | --- | --- | --- |"]
    for row in rows:
        cells = [f"`{row.variable}`", row.default or "(empty)", row.range.replace("|", "or"), row.meaning]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def with_settings(text: str) -> str:
    """The page's text with today's table between the two marks."""
    table = f"{BEGIN}\n{markdown(describe(Settings()))}\n{END}"
    assert text.count(BEGIN) == text.count(END) == 1, "deploy/SETTINGS.md has lost its marks"
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: table, text, flags=re.DOTALL)


def main() -> int:
    PAGE.write_text(with_settings(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
