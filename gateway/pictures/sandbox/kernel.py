"""Asking the kernel for what the standard library has no name for. Alone knows ctypes here."""

from __future__ import annotations

import ctypes

_library = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """The system call's answer. Raises OSError with the kernel's errno."""
    return _checked(_library.syscall(ctypes.c_long(number), *map(_argument, arguments)))


def control(option: int, *arguments: int) -> int:
    """prctl's answer. Raises OSError."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_library.prctl(option, *map(ctypes.c_ulong, padded)))


def set_capabilities(header: bytes, data: bytes) -> None:
    """capset. Raises OSError."""
    _checked(_library.capset(header, data))


def _argument(value: int | bytes | ctypes.Array[ctypes.c_char] | None) -> object:
    return ctypes.c_long(value) if isinstance(value, int) else value


def _checked(answer: int) -> int:
    if answer < 0:
        raise OSError(ctypes.get_errno(), "the kernel refused")
    return answer
