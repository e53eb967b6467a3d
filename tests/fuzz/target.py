"""What a fuzz target is, and the two promises that every parser of ours makes: declared errors, bounded steps."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import BuiltinFunctionType, FrameType

from shared.errors import ClientError

#: Words a caller reads: one line, not endless, nothing that a terminal or a log would act on.
WORDS_MAX = 400
#: So many times the steps it may take, and what runs is stopped.
_ENDLESS = 100


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that reads what strangers send.

    look: raises (anything) when a promise is broken. seeds: right and wrong inputs, made by code. words: what a
    mutation should know. longest: bytes of an input. promises: for the table in README.md.
    """

    name: str
    promises: str
    look: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    longest: int = 4096

    def check(self, data: bytes) -> None:
        """Raises (anything) when a promise is broken."""
        try:
            self.look(data)
        except TooManySteps:  # libraries load parts of themselves at their first use; that is nobody's step
            self.look(data)


class TooManySteps(AssertionError):
    """A parser did more than its input can ask for."""


@contextlib.contextmanager
def steps_within(most: int) -> Iterator[None]:
    """Raises TooManySteps at its end when there were more calls, of Python functions, generators and built-ins."""
    made, overheard = 0, _instruments()

    def count(_frame: FrameType, event: str, argument: object) -> None:
        nonlocal made
        made += event == "call" or (event == "c_call" and argument not in overheard)
        if made > _ENDLESS * most:
            raise TooManySteps(f"more than {made} calls, {most} would do")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
    if made > most:
        raise TooManySteps(f"{made} calls, {most} would do")


def _instruments() -> frozenset[object]:
    """The calls that atheris puts into code to watch it; none where it is not in use."""
    watching = vars(sys.modules["atheris.native"]).values() if "atheris.native" in sys.modules else ()
    return frozenset(each for each in watching if isinstance(each, BuiltinFunctionType))


def check_words(error: ClientError) -> None:
    """What is told to a caller can be shown anywhere."""
    words = str(error)
    assert 0 < len(words) <= WORDS_MAX, f"{len(words)} characters of words"
    assert words.isprintable(), f"words with control characters: {words!r}"
    assert 400 <= error.status < 500
