"""Android sparse images written chunk by chunk from libsparse's sparse_format.h."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from tests.makers.sample import Sample

RAW, FILL, SKIP, CRC = 0xCAC1, 0xCAC2, 0xCAC3, 0xCAC4


class Chunk(NamedTuple):
    """A chunk: its type, its blocks, what follows its head; `total` where it lies about that."""

    kind: int
    blocks: int
    body: bytes = b""
    total: int | None = None


def raw(body: bytes, block: int = 4096) -> Chunk:
    return Chunk(RAW, len(body) // block, body)


def fill(value: bytes, blocks: int) -> Chunk:
    return Chunk(FILL, blocks, value)


def skip(blocks: int) -> Chunk:
    return Chunk(SKIP, blocks)


def crc(guest: bytes, wrong: int = 0) -> Chunk:
    """The sum of all guest bytes so far."""
    return Chunk(CRC, 0, struct.pack("<I", zlib.crc32(guest) ^ wrong))


def simg(
    chunks: Iterable[Chunk],
    *,
    block: int = 4096,
    blocks: int | None = None,
    count: int | None = None,
    header: int = 28,
    head: int = 12,
    sum: int = 0,
    version: tuple[int, int] = (1, 0),
) -> bytes:
    """An image; blocks and chunks counted where they are not said, longer heads padded."""
    rows = list(chunks)
    blocks = sum_of(row.blocks for row in rows) if blocks is None else blocks
    count = len(rows) if count is None else count
    out = bytearray(
        struct.pack(
            "<IHHHHIIII", 0xED26FF3A, *version, header, head, block, blocks, count, sum
        ).ljust(header, b"\xee")
    )
    for row in rows:
        total = head + len(row.body) if row.total is None else row.total
        out += struct.pack("<HHII", row.kind, 0, row.blocks, total).ljust(head, b"\xee") + row.body
    return bytes(out)


def sum_of(values: Iterable[int]) -> int:
    total = 0
    for value in values:
        total += value
    return total


def samples() -> list[Sample]:
    """Every type of chunk; heads that are longer; a set of parts as fastboot makes it."""
    one, two = b"one." * 1024, bytes(range(256)) * 32
    guest = one + b"\x01\x02\x03\x04" * 2048 + bytes(4096) + two + bytes(8192)
    chunks = [raw(one), fill(b"\x01\x02\x03\x04", 2), fill(bytes(4), 1), raw(two), skip(2)]
    mixed = simg([*chunks, crc(guest)])
    ends = (0, 4, 28, 40, 28 + 12 + 4096, 28 + 12 + 4096 + 16, len(mixed) - 16)
    small = simg([raw(one[:512], 512), skip(1), fill(b"abcd", 1)], block=512, header=32, head=20)
    parts = {
        "a.img_sparsechunk.0": simg([raw(one), skip(6)]),
        "a.img_sparsechunk.1": simg([skip(1), fill(b"\x01\x02\x03\x04", 2), raw(two), skip(2)]),
        "a.img_sparsechunk.2": simg([skip(5), raw(one), skip(1)]),
    }
    whole = one + b"\x01\x02\x03\x04" * 2048 + two + one + bytes(4096)
    return [
        Sample("mixed", {"a.simg": mixed}, guest, 28, ends),
        Sample("long heads", {"a.simg": small}, one[:512] + bytes(512) + b"abcd" * 128),
        Sample("set", parts, whole, borders=(28, 40), cut="a.img_sparsechunk.1"),
    ]
