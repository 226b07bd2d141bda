"""gzip files written from RFC 1952 and the SAM specification, their deflate by zlib."""

from __future__ import annotations

import random
import struct
import zlib

from tests.makers.sample import Sample


def disk(size: int, seed: int = 1) -> bytes:
    """A guest with an MBR, text, noise and zeros."""
    draw = random.Random(seed)
    parts = [
        bytes(446) + b"\x80\0\0\0\x0c\0\0\0" + struct.pack("<II", 1, 9) + bytes(48) + b"\x55\xaa"
    ]
    words = [draw.randbytes(6).hex().encode() + b" " for _ in range(500)]
    while sum(map(len, parts)) < size:
        kind = draw.random()
        if kind < 0.2:
            parts.append(bytes(draw.randrange(1, max(2, size // 5))))
        elif kind < 0.4:
            parts.append(draw.randbytes(draw.randrange(1, max(2, size // 9))))
        else:
            parts.append(b"".join(draw.choices(words, k=draw.randrange(1, 2000))))
    return b"".join(parts)[:size]


def deflated(plain: bytes, level: int = 6, strategy: int = 0, memory: int = 8) -> bytes:
    """Raw deflate."""
    coder = zlib.compressobj(level, wbits=-15, memLevel=memory, strategy=strategy)
    return coder.compress(plain) + coder.flush()


def one(
    plain: bytes, *, coded: bytes | None = None, name: bytes = b"", comment: bytes = b"",
    extra: bytes = b"", header_sum: bool = False, method: int = 8, flags: int = 0,
) -> bytes:  # fmt: skip
    """A member."""
    flags |= 2 * header_sum | 4 * bool(extra) | 8 * bool(name) | 16 * bool(comment)
    head = struct.pack("<2sBBIBB", b"\x1f\x8b", method, flags, 1_700_000_000, 0, 3)
    if extra:
        head += struct.pack("<H", len(extra)) + extra
    for text in (name, comment):
        head += text + b"\0" if text else b""
    if header_sum:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    tail = struct.pack("<II", zlib.crc32(plain), len(plain) & 0xFFFFFFFF)
    return head + (deflated(plain) if coded is None else coded) + tail


def block(plain: bytes) -> bytes:
    """A member of BGZF."""
    coded = deflated(plain)
    extra = b"BC" + struct.pack("<HH", 2, len(coded) + 25)
    return one(plain, coded=coded, extra=extra)


def bgzf(guest: bytes, size: int = 0xFF00) -> bytes:
    """BGZF with its last, empty member."""
    pieces = [guest[at : at + size] for at in range(0, len(guest), size)]
    return b"".join(map(block, [*pieces, b""]))


def samples() -> list[Sample]:
    """Members of every kind, alone and in a row."""
    guest = disk(300_000)
    plain = one(guest, name=b"disk.img")
    full = one(guest[:70_000], name=b"a", comment=b"b", extra=b"XY\1\0z", header_sum=True)
    row = full + one(b"") + one(guest[70_000:200_000], coded=deflated(guest[70_000:200_000], 0))
    row += one(guest[200_000:], coded=deflated(guest[200_000:], 9, zlib.Z_FIXED, 1))
    many = bgzf(guest)
    inside = (0, 1, 9, 10, 15, 19, 20, len(plain) // 2, len(plain) - 8, len(plain) - 2)
    return [
        Sample("one member", {"a.img.gz": plain}, guest, 19, inside),
        Sample("a row", {"a.img.gz": row}, guest, 30, (len(row) - 30, len(row) - 3)),
        Sample("bgzf", {"a.img.gz": many}, guest, 18, (20, len(many) - 40)),
        Sample("zeros behind", {"a.img.gz": plain + bytes(5000)}, guest),
        Sample("a set", {"a.img.gz.001": plain[:9000], "a.img.gz.002": plain[9000:]}, guest),
    ]
