"""CRC-32 (ISO 3309), by ISA-L where it is installed; of repeated bytes in no time, however many."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cached_property

_ONE, _BYTE = 1 << 31, 1 << 23  # x^0 and x^8: polynomials are reflected, the highest bit is x^0


class Crc32:
    """A running digest."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: memoryview | bytes) -> None:
        """Go on with `data`."""
        self.value = self._crc32(data, self.value)

    def zeros(self, count: int) -> None:
        """Go on with `count` zero bytes."""
        self.value = zeros(self.value, count)

    def repeated(self, piece: bytes, count: int) -> None:
        """Go on with `piece`, `count` times."""
        self.value = repeated(self.value, piece, count)

    def hexdigest(self) -> str:
        """Eight hexadecimal digits."""
        return f"{self.value:08x}"

    @cached_property
    def _crc32(self) -> Callable[[memoryview | bytes, int], int]:
        try:
            from isal import isal_zlib
        except ImportError:
            return zlib.crc32
        quick: Callable[[memoryview | bytes, int], int] = isal_zlib.crc32
        return quick


def zeros(crc: int, count: int) -> int:
    """The CRC-32 `crc` after `count` more zero bytes, whatever their number."""
    return _times(crc ^ 0xFFFFFFFF, _power(count)) ^ 0xFFFFFFFF


def repeated(crc: int, piece: bytes, count: int) -> int:
    """The CRC-32 `crc` after `piece`, `count` times: doubled as often as it takes."""
    whole, length = zlib.crc32(piece), len(piece)
    while count:
        if count & 1:
            crc = behind(crc, whole, length)
        whole, length, count = behind(whole, whole, length), 2 * length, count >> 1
    return crc


def behind(crc: int, other: int, length: int) -> int:
    """The CRC-32 of what has `crc`, and of `length` bytes behind it that have `other`."""
    return _times(crc, _power(length)) ^ other


def _power(count: int) -> int:
    """x^(8 * count)."""
    power, factor = _ONE, _BYTE
    while count:
        if count & 1:
            power = _times(power, factor)
        factor, count = _times(factor, factor), count >> 1
    return power


def _times(a: int, b: int) -> int:
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (0xEDB88320 if b & 1 else 0)
    return product
