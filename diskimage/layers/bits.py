"""A bit a sector: which parts of a block are there."""

from __future__ import annotations

from collections.abc import Iterator

_HIGH_FIRST = [bytes(value >> bit & 1 for bit in range(7, -1, -1)) for value in range(256)]
_TURNED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_LOW_FIRST = [part[::-1] for part in _HIGH_FIRST]


def stretches(
    bitmap: bytes | bytearray | memoryview, first: int, last: int, *, high_first: bool
) -> Iterator[tuple[int, int, bool]]:
    """(bit, stop, set) of bits [first, last) of `bitmap`, ascending, neighbours alike in one.

    `high_first`: the first bit of a byte is its most significant one.
    """
    table = _HIGH_FIRST if high_first else _LOW_FIRST
    part = bytes(bitmap[first // 8 : -(-last // 8)])
    bits = b"".join([table[value] for value in part])
    edge = first // 8 * 8
    while first < last:
        value = bits[first - edge]
        stop = bits.find(1 - value, first - edge)
        stop = last if stop < 0 else min(last, stop + edge)
        yield first, stop, bool(value)
        first = stop


def marked(length: int, first: int, last: int, *, high_first: bool) -> bytes:
    """A bitmap of `length` bytes in which bits [first, last) are set."""
    low, high = (1 << first) - 1, (1 << last) - 1
    bits = (high & ~low).to_bytes(length, "little")
    return bits if not high_first else bits.translate(_TURNED)
