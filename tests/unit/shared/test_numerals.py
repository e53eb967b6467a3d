"""Numbers: however a program writes a value, it is that value; everything else is no number, and nothing raises."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.numerals import DIGITS_MAX, LENGTH_MAX, count, real, whole

HALVES = ("0.5", ".5", "+.5", "+0.5", "0.50", "00.5", "5e-1", "5E-1", "5E-01", "5.0E-001", "50e-2", ".05e1", " 0.5\r\n")
FIVES = ("5", "+5", "05", "5.", "5.0", "5.000", "5e0", "5E+00", "5.0E+000", "50e-1", ".5e1", "0.5e+1", "\t5 ")
NO_NUMBERS = (
    "", " ", "+", "-", ".", "e", "e5", ".e1", "5e", "5e+", "--5", "+-5", "5-", "0x5", "0x1p-1", "1_000", "1,5", "1.000,5",
    "1 000", "1.2.3", "5%", "1/2", "inf", "Infinity", "nan", "NaN", "True", "null", "undefined", "None", "five",
    "\xb2", "\xbd", "٥", "０.５", "५", "\u22125", "5\xa0", "\xa05", "5\u200b", "5\x00", "5;", "5" * (LENGTH_MAX + 1), "0" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("text", HALVES)
def test_a_half_is_a_half_however_it_is_written(text: str) -> None:
    assert (real(text), whole(text)) == (0.5, None)


@pytest.mark.parametrize("text", FIVES)
def test_five_is_five_however_it_is_written(text: str) -> None:
    assert (real(text), whole(text)) == (5.0, 5)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_nobody_writes_for_a_number_is_none(text: str) -> None:
    assert (real(text), whole(text)) == (None, None)


def test_a_plus_that_a_url_made_a_blank_of_is_a_plus() -> None:
    assert (real(" 0.5"), whole("1e 2")) == (0.5, 100)


def test_minus_nothing_is_nothing() -> None:
    for text in ("-0", "-0.0", "-.0", "-0e5"):
        assert math.copysign(1, real(text) or 0.0) == 1
        assert whole(text) == 0


@pytest.mark.parametrize(
    "text", ["1e999999999", "9e99", "1" + "0" * DIGITS_MAX, "1e-999999999", "-1e999999999", "1e0000000009"]
)
def test_an_integer_nobody_needs_is_none_and_is_never_made(text: str) -> None:
    assert whole(text) is None


def test_a_fraction_is_no_integer_however_small() -> None:
    assert whole("5.5") is None
    assert whole("5." + "0" * 60 + "1") is None
    assert whole("5." + "0" * 60) == 5


def forms_of(value: float) -> list[str]:
    """What Python, JavaScript, C# and C print for a value so that it can be read back."""
    exact = repr(value)
    plain = f"{Decimal(exact):f}"
    scientific = [f"{value:.17e}", f"{value:.17E}", f"{Decimal(exact):E}"]
    shorter = [plain.replace("0.", ".", 1)] if plain.startswith(("0.", "-0.")) else []
    return [
        exact,
        str(value),
        f"{value!s:>30}",
        f"{value:+.17g}",
        *scientific,
        *shorter,
        *([plain] if len(plain) <= 100 else []),
    ]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_programs_print_for_a_float_is_that_float(value: float) -> None:
    for text in forms_of(value):
        assert len(text) > LENGTH_MAX or real(text) == value, text


@given(st.integers(-(10**DIGITS_MAX) + 1, 10**DIGITS_MAX - 1))
def test_what_programs_print_for_an_integer_is_that_integer(value: int) -> None:
    for text in (
        str(value),
        f"{value:+d}",
        f"{value:030d}",
        f"{value}.0",
        f"{value}e0",
        f"{value}.",
        f"{Decimal(value):.20e}",
    ):
        assert whole(text) == value, text


@given(st.text() | st.text("0123456789.eE+-_ \t\n\xb2٥,x", max_size=20))
def test_no_text_raises_and_what_is_taken_python_reads_alike(text: str) -> None:
    number, integer, digits = real(text), whole(text), count(text)
    if number is not None and " " not in text.strip():
        assert number == float(text)
    assert integer is None or integer == number or abs(integer) >= 2**53
    assert digits is None or digits == int(text)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("05", 5), ("0" * 5000 + "7", 7), ("9" * DIGITS_MAX, 10**DIGITS_MAX - 1)]
)
def test_a_count_is_digits_alone(text: str, value: int) -> None:
    assert count(text) == value


@pytest.mark.parametrize("text", ["", "+5", "-5", " 5", "5.0", "\xb2", "٥", "1_0", "9" * (DIGITS_MAX + 1), "9" * 5000])
def test_no_count_is_none(text: str) -> None:
    assert count(text) is None
