"""The tweaks of LRW (draft IEEE P1619/D4) put on neighbouring blocks of 16 bytes, or taken off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, lib, need, readable, size_of, writable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

if not NATIVE:
    from diskimage.reference import lrw as twin

BLOCK = 16
BITS = 64  # of a block's number


def lrw_mask(
    data: ReadableBuffer, powers: ReadableBuffer, number: int, out: WriteableBuffer
) -> None:
    """`data` with the tweak of block `number` on its first block, and so on; `out` may be `data`.

    `powers` are 64 blocks: the tweak key times x^0, x^1 and so on. Raises ValueError for what is no
    whole number of blocks, and for a number of more than 64 bits.
    """
    size = size_of(data)
    need(size == size_of(out) and size % BLOCK == 0, "whole blocks of 16 bytes")
    need(size_of(powers) == BLOCK * BITS, "64 powers of the tweak key")
    need(0 <= number <= (1 << BITS) - 1 - size // BLOCK, "a block's number has 64 bits")
    if not NATIVE:
        twin.lrw_mask(data, powers, number, out)
        return
    lib.di_lrw_mask(readable(data), size // BLOCK, readable(powers), number, writable(out))
