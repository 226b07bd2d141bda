"""Where a buffer is zero, and where two buffers differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, lib, need, readable, size_of, writable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

if not NATIVE:
    from diskimage.reference import scan as twin


def is_zero(buffer: ReadableBuffer) -> bool:
    """Tell whether every byte is zero; an empty buffer is."""
    if not NATIVE:
        return twin.is_zero(buffer)
    view = readable(buffer)
    return bool(lib.di_first_nonzero(view, len(view), 0) == len(view))


def first_nonzero(buffer: ReadableBuffer, start: int = 0) -> int:
    """Give the position of the first byte at or after `start` that is not zero, else the length.

    A table of empty entries is skipped at the speed of memory. Raises ValueError.
    """
    need(0 <= start <= size_of(buffer), "start lies outside the buffer")
    if not NATIVE:
        return twin.first_nonzero(buffer, start)
    view = readable(buffer)
    return int(lib.di_first_nonzero(view, len(view), start))


def zero_blocks(buffer: ReadableBuffer, block: int) -> bytearray:
    """Give one byte a block of `block` bytes: 1 where it is all zero. The last may be short."""
    need(block > 0, "a block has at least one byte")
    if not NATIVE:
        return twin.zero_blocks(buffer, block)
    view = readable(buffer)
    flags = bytearray(-(-len(view) // block))
    lib.di_zero_blocks(view, len(view), block, writable(flags))
    return flags


def filled_blocks(buffer: ReadableBuffer, block: int) -> bytearray:
    """Give one byte a block: 1 where all of it repeats its first four bytes.

    Raises ValueError for blocks of less than four bytes, or not a multiple, and for a part of one.
    """
    need(block >= 4 and block % 4 == 0, "a block has whole words of four bytes")
    need(size_of(buffer) % block == 0, "whole blocks")
    if not NATIVE:
        return twin.filled_blocks(buffer, block)
    view = readable(buffer)
    flags = bytearray(len(view) // block)
    lib.di_filled_blocks(view, len(view), block, writable(flags))
    return flags


def differing_blocks(a: ReadableBuffer, b: ReadableBuffer, block: int) -> bytearray:
    """Give one byte a block: 1 where the two buffers, of one length, differ. Raises ValueError."""
    need(block > 0, "a block has at least one byte")
    need(size_of(a) == size_of(b), "buffers of two lengths cannot be compared block by block")
    if not NATIVE:
        return twin.differing_blocks(a, b, block)
    view = readable(a)
    flags = bytearray(-(-len(view) // block))
    lib.di_differing_blocks(view, readable(b), len(view), block, writable(flags))
    return flags
