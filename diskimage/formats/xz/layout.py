"""The frame of an xz file: streams of blocks, each stream with its own index behind them.

Facts: The .xz File Format 1.2. Integers are little-endian; those of variable length have 7 bits a
byte, the lowest first.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from diskimage.errors import (
    ChecksumError,
    CorruptError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.limits import KIB, MIB, Limits
from diskimage.model import Source
from diskimage.parse import read

MAGIC = b"\xfd7zXZ\0"
FOOTER = b"YZ"
SIZE = 12  # of a stream's header, and of its footer
CHECKS = {0: "no check", 1: "CRC-32", 4: "CRC-64", 10: "SHA-256"}
CHECKED = (0, *[4] * 3, *[8] * 3, *[16] * 3, *[32] * 3, *[64] * 3)  # bytes of a check
INDEX = 16 * MIB  # of an index that is read from its beginning: two million blocks
_SEARCHED = 64 * KIB  # for the end of the last stream, where the file ends in something else


class Stream(NamedTuple):
    """A stream: where it begins, the number of its check, and its blocks: (unpadded bytes, plain
    bytes) of each."""

    at: int
    check: int
    blocks: list[tuple[int, int]]


def streams(source: Source, limits: Limits) -> list[Stream]:
    """All streams of a file, in order, told from its end: nothing is decoded.

    Raises CorruptError, TruncatedError, ChecksumError, UnsupportedError, LimitError.
    """
    if bytes(read(source, 0, SIZE, "an xz stream")[:6]) != MAGIC:
        raise CorruptError("no xz stream", file=source.name, at=0)
    found: list[Stream] = []
    end, left = source.size, limits.metadata
    while end:
        end = _before_padding(source, end)
        stream, size = _stream(source, end, left, last=not found)
        found.append(stream)
        left -= size
        end = stream.at
    return found[::-1]


def _before_padding(source: Source, end: int) -> int:
    """The end of a stream before padding: groups of four zeros."""
    while end >= 2 * SIZE:
        length = min(64 * KIB, end)
        piece = bytes(read(source, end - length, length, "padding"))
        zeros = (length - len(piece.rstrip(b"\0"))) // 4 * 4
        end -= zeros
        if zeros < length:
            break
    return end


def _stream(source: Source, end: int, left: int, *, last: bool) -> tuple[Stream, int]:
    """The stream that ends at `end`, and the bytes of its index."""
    footer = bytes(read(source, max(0, end - SIZE), min(SIZE, end), "a stream's end"))
    if not _is_footer(footer) or end % 4:
        raise _no_end(source, end) if last else CorruptError(
            "a stream has no end", file=source.name, at=end)  # fmt: skip
    flags, size = footer[8:10], 4 * (int.from_bytes(footer[4:8], "little") + 1)
    if flags[0] or flags[1] > 15:
        raise UnsupportedError(f"stream flags {flags.hex()}", file=source.name, at=end - 4)
    if size > left:
        raise LimitError(f"an index of {size} bytes, over metadata", file=source.name, at=end)
    if size + 2 * SIZE > end:
        raise CorruptError("an index larger than the file", file=source.name, at=end - SIZE)
    blocks = _index(bytes(read(source, end - SIZE - size, size, "an index")), source, end)
    at = end - SIZE - size - sum(padded(unpadded) for unpadded, _ in blocks) - SIZE
    head = bytes(read(source, at, SIZE, "a stream's header")) if at >= 0 else b""
    if head != header(flags[1]):
        raise CorruptError("its index does not lead to a stream's header", file=source.name, at=at)
    return Stream(at, flags[1], blocks), size


def _is_footer(data: bytes) -> bool:
    return data[10:] == FOOTER and data[:4] == zlib.crc32(data[4:10]).to_bytes(4, "little")


def _no_end(source: Source, end: int) -> Exception:
    """The error for a file that does not end as a stream does: cut, or with more behind it."""
    low = max(0, end - _SEARCHED)
    tail = bytes(read(source, low, end - low, "the end"))
    at = tail.rfind(FOOTER)
    while at >= 0:
        if at >= 10 and _is_footer(tail[at - 10 : at + 2]):
            rest = source.size - low - at - 2
            return CorruptError(f"{rest} bytes that are no xz follow the last stream",
                                file=source.name, at=low + at + 2)  # fmt: skip
        at = tail.rfind(FOOTER, 0, at)
    return TruncatedError("the last stream has no end", file=source.name, at=source.size)


def _index(data: bytes, source: Source, end: int) -> list[tuple[int, int]]:
    """The records of an index, its CRC-32 and its padding checked."""
    where = end - SIZE - len(data)
    if data[-4:] != zlib.crc32(data[:-4]).to_bytes(4, "little"):
        raise ChecksumError("an index has not its CRC-32", file=source.name, at=where)
    try:
        return _records(data)
    except (ValueError, IndexError) as error:
        raise CorruptError(f"an index is damaged: {error}", file=source.name, at=where) from None


def _records(data: bytes) -> list[tuple[int, int]]:
    """ValueError, IndexError for what is no index."""
    count, at = number(data, 1)
    if data[0] or count > len(data) // 2:
        raise ValueError("more records than it has room for")
    found = []
    for _ in range(count):
        unpadded, at = number(data, at)
        plain, at = number(data, at)
        if unpadded < 5:
            raise ValueError("a block of no size")
        found.append((unpadded, plain))
    if len(data) - 4 - at not in range(4) or any(data[at:-4]):
        raise ValueError("no padding where there should be")
    return found


def number(data: bytes, at: int) -> tuple[int, int]:
    """An integer of variable length, and where the next byte is. ValueError, IndexError."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 56:
            raise ValueError("a number of more than 63 bits")


def coded(value: int) -> bytes:
    """An integer of variable length."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(made) + bytes([value])


def padded(length: int) -> int:
    """A length as a multiple of four."""
    return -(-length // 4) * 4


def header(check: int) -> bytes:
    """A stream's header."""
    flags = bytes((0, check))
    return MAGIC + flags + zlib.crc32(flags).to_bytes(4, "little")


def end_of(records: bytes, count: int, check: int) -> bytes:
    """What follows the blocks of a stream: the index with its records, and the footer."""
    index = b"\0" + coded(count) + records
    index += bytes(-len(index) % 4)
    index += zlib.crc32(index).to_bytes(4, "little")
    body = (len(index) // 4 - 1).to_bytes(4, "little") + bytes((0, check))
    return index + zlib.crc32(body).to_bytes(4, "little") + body + FOOTER


def index_end(source: Source, at: int) -> int:
    """Where the index at `at` ends, by its own numbers. CorruptError, TruncatedError."""
    data = bytes(read(source, at, min(INDEX, source.size - at), "an index"))
    try:
        count, place = number(data, 1)
        for _ in range(2 * count):
            _, place = number(data, place)
    except (ValueError, IndexError):
        raise CorruptError("an index that has no end", file=source.name, at=at) from None
    return at + padded(place) + 4
