"""Small colour profiles with effects that cannot be overlooked. ICC.1:2001-04 (version 2)."""

from __future__ import annotations

import struct

import numpy as np

#: sRGB's primaries adapted to D50, as every sRGB profile gives them.
RED, GREEN, BLUE = (0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
D50 = (0.9642, 1.0, 0.8249)


def swapped_rgb() -> bytes:
    """An RGB profile whose red is sRGB's blue, and the other way round."""
    curve = _curve(2.2)
    tags = {
        b"rXYZ": _xyz(BLUE),
        b"gXYZ": _xyz(GREEN),
        b"bXYZ": _xyz(RED),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _profile(b"RGB ", b"XYZ ", {**tags, b"wtpt": _xyz(D50)})


def linear_rgb(words: bytes = b"for tests", padding: int = 0) -> bytes:
    """sRGB's primaries with values that are light itself. words: what it is called. padding: bytes nobody reads."""
    tags = {b"rXYZ": _xyz(RED), b"gXYZ": _xyz(GREEN), b"bXYZ": _xyz(BLUE)}
    tags |= {name: _curve(1.0) for name in (b"rTRC", b"gTRC", b"bTRC")}
    noise = np.random.default_rng(7).bytes(padding)
    return _profile(
        b"RGB ", b"XYZ ", {**tags, b"wtpt": _xyz(D50), b"none": b"data\0\0\0\0\0\0\0\1" + noise}, words=words
    )


def dark_grey() -> bytes:
    """A grey profile of gamma 4: middle greys come out far darker in sRGB."""
    return _profile(b"GRAY", b"XYZ ", {b"kTRC": _curve(4.0), b"wtpt": _xyz(D50)})


def red_cyan() -> bytes:
    """A CMYK profile whose cyan ink is red, the other inks are white; full cyan is Lab 53 80 67."""
    grid = b""
    for corner in range(16):
        lightness, a, b = (53, 80, 67) if corner & 8 else (100, 0, 0)
        grid += bytes([round(lightness * 255 / 100), a + 128, b + 128])
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 65_536, 0, 0, 0, 65_536, 0, 0, 0, 65_536)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + grid + identity * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": table, b"wtpt": _xyz(D50)}, kind=b"prtr")


def _profile(
    space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", words: bytes = b"for tests"
) -> bytes:
    tags = {**tags, b"desc": _text(words), b"cprt": b"text\0\0\0\0none\0"}
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, payload in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(payload))
        body += payload + b"\0" * (-len(payload) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s12x4s4x4xII8xI12s", size, b"none", 0x0240_0000, kind, space, connection, b"acsp",
                       0, 0, 0, struct.pack(">3i", *(round(value * 65_536) for value in D50)))  # fmt: skip
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65_536) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def _text(words: bytes) -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", len(words) + 1) + words + b"\0" + bytes(8 + 3 + 67)
