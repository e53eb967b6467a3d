"""The effective settings for people: `python -m shared.settings_told`, secrets masked (`--json` for scripts)."""

from __future__ import annotations

import sys

import msgspec

from shared.environment import load
from shared.errors import SettingsError
from shared.exit_codes import CONFIGURATION, OK
from shared.settings import DecodingSettings, Settings, is_secret, meta_of, range_words, text_of, variable


class Setting(msgspec.Struct, frozen=True):
    variable: str
    value: str
    default: str
    range: str
    meaning: str


def describe(settings: Settings) -> list[Setting]:
    """One row per setting, secrets masked."""
    defaults, decoding = Settings(), DecodingSettings.__struct_fields__
    rows = []
    for name in [*(name for name in Settings.__struct_fields__ if name not in decoding), *decoding]:
        meta, value = meta_of(name), getattr(settings, name)
        shown = "***" if is_secret(meta) and value else text_of(value)
        default = text_of(getattr(defaults, name))
        rows.append(Setting(variable(name), shown, default, range_words(name), meta.description or ""))
    return rows


def main(arguments: list[str]) -> int:
    """Prints the effective settings; CONFIGURATION when they are wrong."""
    try:
        settings, warnings = load()
    except SettingsError as error:
        print(f"wrong settings:\n{error}", file=sys.stderr)
        return CONFIGURATION
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    rows = describe(settings)
    if "--json" in arguments:
        print(msgspec.json.encode({row.variable: row.value for row in rows}).decode())
    else:
        width = max(len(row.variable) for row in rows)
        for row in rows:
            print(f"{row.variable:<{width}}  {row.value or '(empty)':<12}  {row.meaning}")
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
