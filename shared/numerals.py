"""Numbers as programs and people write them: one grammar for parameters, headers, forms and settings. Pure.

    [blanks] [+ or -] digits | digits. | digits.digits | .digits [e [+ or -] digits] [blanks]

What Python, JavaScript, C# (invariant), bc and an HTML form write for a value is that value. All else is no number:
other scripts' digits, 0x10, 1_000, 1,5, inf, nan, and what is longer than anybody writes. Nothing here raises.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

#: JavaScript's toFixed(100) fits; what is longer was made to cost something.
LENGTH_MAX = 128
#: Integers of more digits are nobody's: below it `int` and `str` cost nothing.
DIGITS_MAX = 19

_BLANKS = " \t\r\n\f\v"
_COUNT = re.compile(rf"0*([0-9]{{1,{DIGITS_MAX}}})")
#: A plus in a URL arrives as a blank: before the number it is stripped, after the e it stands for itself.
_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([ +-]?[0-9]{1,9}))?")


def stripped(text: str) -> str:
    """Without ASCII blanks around it; a no-break space is no blank."""
    return text.strip(_BLANKS)


def real(text: str) -> float | None:
    """The nearest float, or None for no number. What is too large for one is infinite; -0 is 0."""
    plain = _plain(text)
    return None if plain is None else float(plain) + 0.0


def whole(text: str) -> int | None:
    """The integer (`5`, `05`, `5.0`, `5e0`, `1e2`), or None: no number, one with a fraction, or over DIGITS_MAX."""
    plain = _plain(text)
    if plain is None:
        return None
    value = Decimal(plain)
    if not value:
        return 0
    if not 0 <= value.adjusted() < DIGITS_MAX or value != value.to_integral_value():
        return None
    return int(value)


def read(kind: Any, text: str) -> tuple[Any, str]:
    """The text as a value of the kind, a number or else the text itself; or None, and what it is not."""
    if kind is float:
        return real(text), "is not a number such as 0.5"
    if kind in (int, int | None):
        return whole(text), "is not a whole number such as 5"
    return text, ""


def count(text: str) -> int | None:
    """A count as HTTP writes it, digits alone (RFC 9110 8.6), or None: anything else, or over DIGITS_MAX."""
    match = _COUNT.fullmatch(text)
    return int(match[1]) if match else None


def _plain(text: str) -> str | None:
    """The number in the form that Python reads, or None."""
    text = stripped(text)
    match = _NUMBER.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if match is None:
        return None
    return match[1] if match[2] is None else f"{match[1]}e{match[2].strip()}"
