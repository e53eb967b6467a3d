"""PNG stored oddly: checksums, orders, lengths and texts that no pixel needs, and picture data cut in odd ways."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from tests.differential.oddity import Oddity, damaged, noise, scene
from tests.hostile import make_png as make

_ANCILLARY: dict[bytes, bytes] = {
    b"tEXt": b"Comment\0some words", b"zTXt": b"Comment\0\0" + zlib.compress(b"some words"),
    b"iTXt": b"Comment\0\0\0\0\0some words", b"pHYs": b"\0\0\x0b\x13\0\0\x0b\x13\1", b"tIME": b"\7\xe8\1\2\3\4\5",
    b"bKGD": b"\0\0\0\0\0\0", b"prVt": b"anything", b"eXIf": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
}  # fmt: skip


def files(source: random.Random) -> Iterator[Oddity]:
    """One example of each kind."""
    for name, data in bases(source):
        yield Oddity(f"{name}: plain", data)
        parts = make.parts(data)
        yield from _ancillary(name, parts, data, source)
        yield from _picture_data(name, parts, data, source)
        yield from _ends(name, parts, data, source)
        yield from damaged(name, data, source)


def bases(source: random.Random) -> list[tuple[str, bytes]]:
    picture = scene(source)
    grey = np.ascontiguousarray(picture[:, :, 0])
    palette = np.frombuffer(source.randbytes(48), np.uint8).reshape(16, 3)
    return [
        ("png", make.png(picture)),
        ("png interlaced", make.png(picture, interlaced=True)),
        ("png alpha", make.png(np.dstack([picture, np.full_like(grey, 255)]), make.RGBA)),
        ("png grey 16", make.png(grey.astype(np.uint16) * 257, make.GREY, 16)),
        ("png palette", make.png(grey >> 4, make.PALETTE, 4, before=make.palette(palette))),
        ("png two chunks", make.png(picture, idat_bytes=4000)),
    ]


def joined(parts: list[make.Chunk], **wrong: int) -> bytes:
    """wrong: a checksum for chunks of that kind."""
    return make.file(*(make.chunk(kind, payload, wrong.get(kind.decode("latin-1"))) for kind, payload in parts))


def _ancillary(name: str, parts: list[make.Chunk], data: bytes, source: random.Random) -> Iterator[Oddity]:
    begin = next(index for index, part in enumerate(parts) if part[0] == b"IDAT")
    for kind, payload in _ANCILLARY.items():
        if kind == b"bKGD" and name != "png":
            continue
        word = kind.decode()
        for place, where in ((1, "first"), (begin, "before the picture"), (len(parts) - 1, "behind the picture")):
            more = [*parts[:place], (kind, payload), *parts[place:]]
            yield Oddity(f"{name}: {word} {where}", joined(more), twin=data)
        more = [*parts[:begin], (kind, payload), *parts[begin:]]
        yield Oddity(f"{name}: {word} with a wrong checksum", joined(more, **{word: source.getrandbits(32)}), twin=data)
        broken = [*parts[:begin], (kind, noise(source, 0, 30)), *parts[begin:]]
        yield Oddity(f"{name}: {word} with anything in it", joined(broken), twin=data if kind != b"eXIf" else b"")
        twice = [*parts[:begin], (kind, payload), (kind, payload), *parts[begin:]]
        yield Oddity(f"{name}: {word} twice", joined(twice), twin=data)
    for kind in (b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"hIST", b"tRNS"):
        junk = [*parts[:begin], (kind, noise(source, 0, 30)), *parts[begin:]]
        yield Oddity(f"{name}: {kind.decode()} with anything in it", joined(junk))
        yield Oddity(f"{name}: {kind.decode()} with a wrong checksum", joined(junk, **{kind.decode(): 7}), twin=data)
    unknown = [*parts[:begin], (b"NEWc", b"important"), *parts[begin:]]
    yield Oddity(f"{name}: an unknown critical chunk", joined(unknown))
    many = [*parts[:begin], *[(b"tEXt", b"a\0b")] * 900, *parts[begin:]]
    yield Oddity(f"{name}: many texts", joined(many), twin=data)


def _picture_data(name: str, parts: list[make.Chunk], data: bytes, source: random.Random) -> Iterator[Oddity]:
    begin = next(index for index, part in enumerate(parts) if part[0] == b"IDAT")
    head, tail = parts[:begin], [part for part in parts[begin:] if part[0] != b"IDAT"]
    packed = b"".join(payload for kind, payload in parts if kind == b"IDAT")

    def split(*sizes: int) -> list[make.Chunk]:
        rest, found = packed, []
        for size in sizes:
            found.append((b"IDAT", rest[:size]))
            rest = rest[size:]
        return [*head, *found, (b"IDAT", rest), *tail]

    yield Oddity(f"{name}: picture data of one byte each", joined(split(*[1] * 60)), twin=data)
    yield Oddity(f"{name}: empty picture data first", joined(split(0)), twin=data)
    yield Oddity(f"{name}: empty picture data last", joined(split(len(packed))), twin=data)
    yield Oddity(f"{name}: empty picture data between", joined(split(20, 0, 0)), twin=data)
    between = split(source.randrange(1, len(packed)))
    yield Oddity(
        f"{name}: a text inside the picture data",
        joined([*between[: begin + 1], (b"tEXt", b"a\0b"), *between[begin + 1 :]]),
    )
    behind = [*head, (b"IDAT", packed + noise(source, 1, 50)), *tail]
    yield Oddity(f"{name}: bytes behind the packed data", joined(behind), twin=data)
    yield Oddity(
        f"{name}: a chunk of bytes behind the packed data",
        joined([*split(len(packed))[:-1], (b"IDAT", noise(source, 1, 50)), *tail]),
    )
    raw = zlib.decompress(packed)
    longer = zlib.compress(raw + noise(source, 1, 400))
    yield Oddity(f"{name}: more rows than the picture has", joined([*head, (b"IDAT", longer), *tail]))
    fewer = zlib.compress(raw[: len(raw) - source.randint(1, len(raw) // 2)])
    yield Oddity(f"{name}: fewer rows than the picture has", joined([*head, (b"IDAT", fewer), *tail]), damaged=True)
    sum_wrong = packed[:-4] + struct.pack(">I", source.getrandbits(32))
    yield Oddity(f"{name}: wrong sum of the packed data", joined([*head, (b"IDAT", sum_wrong), *tail]), damaged=True)
    yield Oddity(f"{name}: no sum of the packed data", joined([*head, (b"IDAT", packed[:-4]), *tail]), damaged=True)
    yield Oddity(f"{name}: stored, not packed", joined([*head, (b"IDAT", zlib.compress(raw, 0)), *tail]), twin=data)
    yield Oddity(f"{name}: wrong checksum of the picture data", joined(parts, IDAT=9), damaged=True)
    yield Oddity(f"{name}: wrong checksum of the header", joined(parts, IHDR=9), damaged=True)
    small = bytes([packed[0] & 0x0F]) + packed[1:]
    small = small[:1] + bytes([31 - (small[0] << 8) % 31]) + small[2:]
    yield Oddity(f"{name}: a window smaller than is used", joined([*head, (b"IDAT", small), *tail]))


def _ends(name: str, parts: list[make.Chunk], data: bytes, source: random.Random) -> Iterator[Oddity]:
    yield Oddity(f"{name}: without its end", joined(parts[:-1]))
    yield Oddity(f"{name}: without the last checksum", data[:-4])
    yield Oddity(f"{name}: wrong last checksum", data[:-4] + b"\0\0\0\0")
    yield Oddity(f"{name}: an end that holds something", joined([*parts[:-1], (b"IEND", noise(source, 1, 20))]))
    yield Oddity(f"{name}: zeros in place of its end", joined(parts[:-1]) + bytes(source.randint(1, 900)))
    yield Oddity(f"{name}: two ends", joined([*parts, parts[-1]]), twin=data)
    yield Oddity(f"{name}: two headers", joined([parts[0], *parts]))
