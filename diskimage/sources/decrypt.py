"""Bytes that a cipher turns while they are read, one way or the other."""

from __future__ import annotations

from collections.abc import Callable

from diskimage.model import Source
from diskimage.sources.made import Made, whole

Turn = Callable[[int, bytearray], bytes | bytearray]
"""Neighbouring units, the first one's number given, deciphered or enciphered; safe in threads."""


def turned(
    inner: Source, turn: Turn, *, unit: int, count: int, at: int = 0, first: int = 0
) -> Made:
    """`count` units of `unit` bytes from `at` of `inner`, as `turn` makes them.

    The unit at `at` has the number `first`: a sector's IV or tweak is the cipher's business.
    """

    def units(start: int, many: int, out: memoryview) -> None:
        out[:] = turn(first + start, whole(inner, at + start * unit, many * unit))

    return Made(inner.name, unit, count, units)
