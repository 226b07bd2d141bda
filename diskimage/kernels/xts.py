"""The tweaks of XTS (IEEE 1619) put on units of blocks of 16 bytes, or taken off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, lib, need, readable, size_of, writable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

if not NATIVE:
    from diskimage.reference import xts as twin

BLOCK = 16


def xts_mask(data: ReadableBuffer, unit: int, tweaks: ReadableBuffer, out: WriteableBuffer) -> None:
    """`data` with the tweak of each unit of `unit` bytes on it; `out` may be `data`.

    `tweaks` are 16 bytes a unit, which block n of the unit has times x^n. Raises ValueError for
    what is no whole number of units, and for a unit that is none of blocks.
    """
    size = size_of(data)
    need(unit > 0 and unit % BLOCK == 0, "units of whole blocks of 16 bytes")
    need(size == size_of(out) and size % unit == 0, "whole units")
    need(size_of(tweaks) == size // unit * BLOCK, "16 bytes of tweak a unit")
    if not NATIVE:
        twin.xts_mask(data, unit, tweaks, out)
        return
    lib.di_xts_mask(readable(data), size // unit, unit // BLOCK, readable(tweaks), writable(out))
