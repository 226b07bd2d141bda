"""Twins of `kernels.scan`: where a buffer is zero, where two differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PIECE = 1 << 16


def is_zero(buffer: ReadableBuffer) -> bool:
    """Tell whether every byte is zero; an empty buffer is."""
    return all(zero_blocks(buffer, PIECE))


def zero_blocks(buffer: ReadableBuffer, block: int) -> bytearray:
    """Give one byte a block: 1 where it is all zero."""
    view = memoryview(buffer).cast("B")
    zeros = bytes(block)
    pieces = (view[at : at + block].tobytes() for at in range(0, len(view), block))
    return bytearray(piece == zeros[: len(piece)] for piece in pieces)


def filled_blocks(buffer: ReadableBuffer, block: int) -> bytearray:
    """Give one byte a block: 1 where all of it repeats its first four bytes."""
    view = memoryview(buffer).cast("B")
    pieces = (view[at : at + block].tobytes() for at in range(0, len(view), block))
    return bytearray(piece == piece[:4] * (block // 4) for piece in pieces)


def differing_blocks(a: ReadableBuffer, b: ReadableBuffer, block: int) -> bytearray:
    """Give one byte a block: 1 where the two buffers differ."""
    one, two = memoryview(a).cast("B"), memoryview(b).cast("B")
    return bytearray(
        one[at : at + block].tobytes() != two[at : at + block].tobytes()
        for at in range(0, len(one), block)
    )


def first_nonzero(buffer: ReadableBuffer, start: int = 0) -> int:
    """Give the position of the first byte at or after `start` that is not zero, else the length."""
    view = memoryview(buffer).cast("B")
    for at in range(start, len(view), PIECE):
        piece = view[at : at + PIECE].tobytes()
        rest = piece.lstrip(b"\0")
        if rest:
            return at + len(piece) - len(rest)
    return len(view)
