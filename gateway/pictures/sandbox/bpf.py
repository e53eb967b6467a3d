"""Programs of the kernel's classic BPF that judge system calls, built from parts that each end in a verdict.

Source: linux/filter.h, linux/seccomp.h. Alone knows how a judgement is encoded. Every jump is forward and short: a part
is skipped as a whole or ends the program, so parts are joined by writing one behind the other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

#: One instruction: code, jump if true, jump if false (instructions to skip), operand.
Instruction = tuple[int, int, int, int]
Program = list[Instruction]

LOAD, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06

#: Where struct seccomp_data holds the number, the machine and the arguments (64 bits each, the lower half first).
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_HALF = 0xFFFFFFFF

ALLOW, KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


@dataclass(frozen=True, slots=True)
class Argument:
    """True of a call whose argument `index`, under `mask`, is `value`. whole: all 64 bits count, as of a pointer."""

    index: int
    value: int
    mask: int = _HALF
    whole: bool = False


def refusing(error: int) -> int:
    """The verdict that makes a call fail with this errno."""
    return _ERRNO | error


def end(verdict: int) -> Program:
    """Gives the verdict."""
    return [(RETURN, 0, 0, verdict)]


def machine(audit_arch: int, foreign_from: int | None) -> Program:
    """Kills calls of another machine's kind, which number otherwise, and those numbered `foreign_from` and above."""
    part: Program = [(LOAD, 0, 0, _MACHINE_AT), (EQUAL, 1, 0, audit_arch), *end(KILL), (LOAD, 0, 0, _NUMBER_AT)]
    return part if foreign_from is None else [*part, (AT_LEAST, 0, 1, foreign_from), *end(KILL)]


def call(number: int, judged: Program) -> Program:
    """Judges one call, and passes over any other. The number is loaded when it begins, and when it passes."""
    return [(EQUAL, 0, len(judged), number), *judged]


def either(alternatives: Sequence[Sequence[Argument]], otherwise: int) -> Program:
    """Allows a call of whose alternatives one holds in all its arguments; no alternatives: allows it always."""
    if not alternatives:
        return end(ALLOW)
    return [step for wanted in alternatives for step in _all_of(wanted)] + end(otherwise)


def _all_of(wanted: Sequence[Argument]) -> Program:
    part = end(ALLOW)
    for argument in reversed(wanted):
        part = _tests(argument, len(part)) + part
    return part


def _tests(argument: Argument, skipped: int) -> Program:
    """Goes on where the argument is as wanted, else skips so many instructions behind it."""
    low = _ARGUMENTS_AT + 8 * argument.index
    test: Program = [(LOAD, 0, 0, low)]
    if argument.mask != _HALF:
        test.append((AND, 0, 0, argument.mask))
    test.append((EQUAL, 0, skipped, argument.value & _HALF))
    if not argument.whole:
        return test
    return [(LOAD, 0, 0, low + 4), (EQUAL, 0, len(test) + skipped, argument.value >> 32), *test]


def packed(program: Program) -> bytes:
    """As the kernel reads it: struct sock_filter for each instruction."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
