"""CRC-32 (ISO 3309), by ISA-L where it is installed; of zeros in no time, however many."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cached_property


class Crc:
    """A running digest."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: memoryview | bytes) -> None:
        """Go on with `data`."""
        self.value = self._crc32(data, self.value)

    def zeros(self, count: int) -> None:
        """Go on with `count` zero bytes."""
        self.value = zeros(self.value, count)

    @cached_property
    def _crc32(self) -> Callable[[memoryview | bytes, int], int]:
        try:
            from isal import isal_zlib
        except ImportError:
            return zlib.crc32
        quick: Callable[[memoryview | bytes, int], int] = isal_zlib.crc32
        return quick


def zeros(crc: int, count: int) -> int:
    """The CRC-32 `crc` after `count` more zero bytes, whatever their number: a product with x^8n.

    Polynomials are reflected: the highest bit of 32 is x^0.
    """
    power, factor = 1 << 31, 1 << 23  # x^0, x^8
    while count:
        if count & 1:
            power = _times(power, factor)
        factor, count = _times(factor, factor), count >> 1
    return _times(crc ^ 0xFFFFFFFF, power) ^ 0xFFFFFFFF


def _times(a: int, b: int) -> int:
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (0xEDB88320 if b & 1 else 0)
    return product
