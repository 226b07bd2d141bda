"""Twin of `kernels.xts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

BLOCK = 16
WIDTH = 128
POLYNOMIAL = 0x87  # of x^128 + x^7 + x^2 + x + 1, less its first term


def xts_mask(data: ReadableBuffer, unit: int, tweaks: ReadableBuffer, out: WriteableBuffer) -> None:
    """A unit's masks are its tweak doubled again and again, little-endian."""
    view, made = memoryview(data).cast("B"), memoryview(out).cast("B")
    rows = memoryview(tweaks).cast("B")
    for number, at in enumerate(range(0, len(view), unit)):
        mask, tweak = bytearray(), int.from_bytes(rows[number * BLOCK :][:BLOCK], "little")
        for _ in range(unit // BLOCK):
            mask += tweak.to_bytes(BLOCK, "little")
            carry, tweak = divmod(tweak << 1, 1 << WIDTH)
            tweak ^= carry * POLYNOMIAL
        mixed = int.from_bytes(view[at : at + unit], "little") ^ int.from_bytes(mask, "little")
        made[at : at + unit] = mixed.to_bytes(unit, "little")
