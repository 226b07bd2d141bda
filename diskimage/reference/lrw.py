"""Twin of `kernels.lrw`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

BLOCK = 16


def lrw_mask(
    data: ReadableBuffer, powers: ReadableBuffer, number: int, out: WriteableBuffer
) -> None:
    """A tweak is the sum of the powers that its number's bits name."""
    view, made = memoryview(data).cast("B"), memoryview(out).cast("B")
    rows = memoryview(powers).cast("B")
    known = [int.from_bytes(rows[at : at + BLOCK], "big") for at in range(0, len(rows), BLOCK)]
    tweak = 0
    for bit, power in enumerate(known):
        tweak ^= power if number >> bit & 1 else 0
    for at in range(0, len(view), BLOCK):
        mixed = int.from_bytes(view[at : at + BLOCK], "big") ^ tweak
        made[at : at + BLOCK] = mixed.to_bytes(BLOCK, "big")
        changed, number = number ^ (number + 1), number + 1
        for bit in range(changed.bit_length()):
            tweak ^= known[bit]
