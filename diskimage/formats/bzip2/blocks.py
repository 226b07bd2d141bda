"""The blocks of a bzip2 file: found by their marks, decoded one by one.

A file is streams, each of blocks that begin at any bit. A block is coded by itself and has a sum of
its own: with a stream's header before it and a stream's end behind it, any decoder takes it.
Facts: the format as bzip2 1.0 writes and reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from diskimage.errors import ChecksumError, CorruptError, TruncatedError
from diskimage.limits import MIB
from diskimage.model import Source
from diskimage.parse import read

BLOCK, END = 0x314159265359, 0x177245385090  # the first digits of pi, and of its square root
_BITS = 48
_SUM = 32
_OVER = 8  # bytes of a window that the next one looks at again: a mark takes 7
_SHORTEST = _BITS + _SUM + 25  # bits of a block before its tables


class Mark(NamedTuple):
    """Where a mark begins, as a bit of the file, and whether it ends a stream."""

    bit: int
    ends: bool


def _patterns() -> list[tuple[bytes, int, int, bool]]:
    """For each mark at each of eight bits: the whole bytes in it, the mark, its first bit."""
    made = []
    for value, ends in ((BLOCK, False), (END, True)):
        for shift in range(8):
            whole = (value << (8 - shift)).to_bytes(7, "big")
            made.append((whole[1:6], value, shift, ends))
    return made


def marks(source: Source) -> Iterator[Mark]:
    """All marks of a file in order, those that only look like one among them."""
    patterns, low = _patterns(), 0
    while low < source.size:
        window = bytes(read(source, low, min(MIB + _OVER, source.size - low), "blocks"))
        found = []
        for whole, value, shift, ends in patterns:
            at = window.find(whole, 1)
            while 0 < at <= MIB:
                bits = int.from_bytes(window[at - 1 : at + 6].ljust(7, b"\0"), "big")
                if bits >> (8 - shift) & (1 << _BITS) - 1 == value:
                    found.append(Mark(8 * (low + at - 1) + shift, ends))
                at = window.find(whole, at + 1)
        yield from sorted(found)
        low += MIB


def bits(source: Source, start: int, count: int) -> int:
    """`count` bits from bit `start` as a number. Raises TruncatedError."""
    first, last = start >> 3, -(-(start + count) // 8)
    if last > source.size:
        raise TruncatedError("the file ends inside of a stream", file=source.name, at=source.size)
    value = int.from_bytes(read(source, first, last - first, "a block"), "big")
    return value >> (8 * last - start - count) & (1 << count) - 1


def sum_of(source: Source, bit: int) -> int:
    """The sum behind a mark: of a block, or of all blocks of a stream."""
    return bits(source, bit + _BITS, _SUM)


def plain(source: Source, start: int, count: int) -> Iterator[bytes]:
    """The plain bytes of a block of `count` bits, its sum held at the end.

    Raises CorruptError, ChecksumError.
    """
    import bz2  # only who meets such a file loads it

    at = start >> 3
    if count < _SHORTEST:
        raise CorruptError("a block too short to be one", file=source.name, at=at)
    block = bits(source, start, count)
    sum = block >> (count - _BITS - _SUM) & (1 << _SUM) - 1
    filler = -(count + _BITS + _SUM) % 8
    stream = (block << _BITS | END) << _SUM | sum
    coded = (stream << filler).to_bytes((count + _BITS + _SUM + filler) // 8, "big")
    decoder, done = bz2.BZ2Decompressor(), 0
    feed = b"BZh9" + coded  # the level is a bound, and that of 9 is the widest
    try:
        while not decoder.eof:
            piece = decoder.decompress(feed, MIB if done else 1)  # nothing comes of a wrong block
            feed = b""
            done += len(piece)
            if piece:
                yield piece
            elif decoder.needs_input:
                raise CorruptError("a block goes on behind its end", file=source.name, at=at)
    except OSError:
        if done:
            raise ChecksumError("a block has not its sum", file=source.name, at=at) from None
        raise CorruptError("a block does not decode", file=source.name, at=at) from None
    if decoder.unused_data:
        raise CorruptError("a block ends before its end", file=source.name, at=at)
