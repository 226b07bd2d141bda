"""Twins of `kernels.checksums`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import ReadableBuffer


def reflected_table(polynomial: int) -> tuple[int, ...]:
    """Make the 256-entry table of a reflected 32-bit CRC."""

    def entry(value: int) -> int:
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        return value

    return tuple(map(entry, range(256)))


def reflected(table: tuple[int, ...], data: Iterable[int], value: int) -> int:
    """Run a reflected 32-bit CRC over bytes."""
    for byte in data:
        value = (value >> 8) ^ table[(value ^ byte) & 0xFF]
    return value


CASTAGNOLI = reflected_table(0x82F63B78)


def crc32c(buffer: ReadableBuffer, value: int = 0) -> int:
    """Give the CRC-32C of RFC 3720 B.4, continued from `value`."""
    data = memoryview(buffer).cast("B")
    return reflected(CASTAGNOLI, data, value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
