"""A file of settings beside the environment, read anew at every (re)start: NAME=value lines, # for comments.

Named by FACE_API_SETTINGS_FILE. The environment goes first; names may be written with or without FACE_API_.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.settings import PREFIX

VARIABLE = "FACE_API_SETTINGS_FILE"


def with_settings_file(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment completed from the file it names, and what is wrong with that file."""
    merged = dict(environ)
    path = merged.pop(VARIABLE, "")
    if not path:
        return merged, []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return merged, [f"{VARIABLE}={path}: cannot be read ({error})"]
    problems = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            problems.append(f"{VARIABLE}={path}: line {number} is not NAME=value")
            continue
        name = name.strip().upper()
        merged.setdefault(name if name.startswith(PREFIX) else PREFIX + name, value.strip())
    return merged, problems
