"""Raw deflate (RFC 1951) that stops at the borders of blocks: there one can begin again."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, ffi, lib, need, readable, writable
from diskimage.reference import inflate as twin
from diskimage.reference.inflate import BAD, BORDER, END, FAR, FULL, MARGIN, MORE, WINDOW

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["BAD", "BORDER", "END", "FAR", "FULL", "MARGIN", "MORE", "WINDOW", "inflate", "state"]


def state() -> bytearray:
    """Memory for `inflate`, as at the beginning of a stream or at a border of it."""
    return bytearray(lib.di_inflate_state() if NATIVE else twin.STATE)


def inflate(
    coded: ReadableBuffer, out: WriteableBuffer, first: int, border: int, place: array[int],
    memory: bytearray,
) -> int:  # fmt: skip
    """Decode from bit place[0] of `coded` to byte place[1] of `out`; both are moved on.

    out[first:place[1]] is what the stream gave before, 32 KiB of it or all. Gives MORE where
    `coded` ends first (go on with the rest of it and more), FULL where less than MARGIN bytes of
    room are left, BORDER where a block begins and place[1] >= `border`, END where the stream has
    ended, BAD for what is no deflate, FAR for a copy from before `first`. What is in `out` from
    place[1] on may change. Raises ValueError.
    """
    view, room = memoryview(coded).cast("B"), memoryview(out).cast("B")
    need(0 <= place[0] <= 8 * len(view), "a bit of the coded bytes")
    need(0 <= first <= place[1] <= len(room), "a byte of the room")
    if not NATIVE:
        return twin.inflate(view, room, first, border, place, memory)
    need(len(memory) == lib.di_inflate_state(), "the memory that `state` gives")
    return int(lib.di_inflate(
        readable(view), len(view), writable(room), len(room), first, border,
        ffi.from_buffer("int64_t[]", place, require_writable=True),
        ffi.from_buffer("uint32_t[]", memory, require_writable=True),
    ))  # fmt: skip
