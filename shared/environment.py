"""The only reader of the environment: settings from it, and what child processes find in theirs.

`load()` reports all mistakes together.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from shared import numerals
from shared.access_rules import access_problems
from shared.errors import SettingsError
from shared.settings import PREFIX, DecodingSettings, Settings, is_secret, meta_of, range_words, text_of, variable
from shared.settings_file import with_settings_file
from shared.split_rules import split_problems

Kind = TypeVar("Kind", bound=DecodingSettings)

#: What Python needs to start in a process that decodes strangers' files.
_HARMLESS = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV"})
_HARMLESS_PREFIXES = ("PYTHON", "LC_", "LD_")
#: What the client reads (`client/place.py`), in whose environment a service may be started.
_OF_CLIENTS = frozenset({f"{PREFIX}URL", f"{PREFIX}KEY"})


def load(environ: Mapping[str, str] | None = None) -> tuple[Settings, list[str]]:
    """The settings of an environment (this process's by default), and warnings about unknown names.

    Raises SettingsError with every mistake at once.
    """
    environ, problems = with_settings_file(os.environ if environ is None else environ)
    settings = _read(Settings, environ, problems)
    problems += [_problem(name, _raw_value(name, environ, []), words) for name, words in checks(settings)]
    if problems:
        raise SettingsError(problems)
    return settings, list(_unknown_names(environ))


def load_decoding() -> DecodingSettings:
    """What a process that decodes is told, by `decoder_environment`. Raises SettingsError."""
    problems: list[str] = []
    settings = _read(DecodingSettings, os.environ, problems)
    if problems:
        raise SettingsError(problems)
    return settings


def checks(settings: Settings) -> Iterator[tuple[str, str]]:
    """What no single range can say: (setting, problem with its mend) for each."""
    if settings.input_side % 32:
        yield "input_side", "must be a multiple of 32, 640 for instance"
    for name in ("detect_second_side", "mask_second_side"):
        if getattr(settings, name) % 32:
            yield name, "must be a multiple of 32, or 0 for none"
    yield from access_problems(settings)
    yield from split_problems(settings)


def environment_of(settings: Settings, kind: type[DecodingSettings] = Settings) -> dict[str, str]:
    """The variables that make these settings again, or those of a kind: how one process hands them to its children."""
    defaults = Settings()
    return {
        variable(name): text_of(getattr(settings, name))
        for name in kind.__struct_fields__
        if getattr(settings, name) != getattr(defaults, name)
    }


def inherited_environment(settings: Settings) -> dict[str, str]:
    """This process's environment with the FACE_API_* part replaced by `settings`: for child processes."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return rest | environment_of(settings)


def decoder_environment(settings: Settings) -> dict[str, str]:
    """What a process that decodes strangers' files may know: its settings, and what Python needs. No secrets."""
    inherited = {
        name: value for name, value in os.environ.items() if name in _HARMLESS or name.startswith(_HARMLESS_PREFIXES)
    }
    return inherited | environment_of(settings, DecodingSettings)


def _read(kind: type[Kind], environ: Mapping[str, str], problems: list[str]) -> Kind:
    """Settings of this kind, with the defaults where something is wrong."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        raw = _raw_value(field.name, environ, problems)
        if raw is not None:
            _convert(field.name, raw, field.type, values, problems)
    return kind(**values)


def _raw_value(name: str, environ: Mapping[str, str], problems: list[str]) -> str | None:
    value, path = environ.get(variable(name)), environ.get(variable(name) + "_FILE")
    if path is None or name.endswith("_file"):
        return value
    if value is not None:
        problems.append(f"{variable(name)} and {variable(name)}_FILE are both set; keep one")
        return value
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{variable(name)}_FILE={path}: cannot be read ({error})")
        return None


def _convert(name: str, raw: str, wanted: Any, values: dict[str, Any], problems: list[str]) -> None:
    value, words = numerals.read(wanted.__origin__, raw)
    try:
        values[name] = msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError:
        problems.append(_problem(name, raw, words if value is None else "is not allowed"))


def _problem(name: str, raw: str | None, words: str) -> str:
    meta = meta_of(name)
    shown = "" if raw is None else "=***" if is_secret(meta) else f"={raw}"
    return f"{variable(name)}{shown}: {words} ({meta.description}; {range_words(name)})"


def _unknown_names(environ: Mapping[str, str]) -> Iterator[str]:
    variables = {variable(name) for name in Settings.__struct_fields__} | _OF_CLIENTS
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in variables or name.removesuffix("_FILE") in variables:
            continue
        near = difflib.get_close_matches(name, sorted(variables), n=1, cutoff=0.6)
        yield f"unknown setting {name}" + (f"; did you mean {near[0]}?" if near else "")
