"""Subchannel of compact discs: 96 bytes a frame, by channel or by bit, and the CRC of Q.

Packed, a frame has 12 bytes of each channel P to W in turn; interleaved, a bit of each channel in
every byte, P the highest. Q is 12 bytes, the last two of which are the CRC of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, lib, need, readable, size_of, writable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

if not NATIVE:
    from diskimage.reference import subchannel as twin

SUB = 96
Q = 12


def sub_interleave(packed: ReadableBuffer, out: WriteableBuffer) -> None:
    """Put the bits of all channels together. Whole frames of one number, else ValueError."""
    need(size_of(packed) == size_of(out) and size_of(out) % SUB == 0, "whole frames of 96 bytes")
    if not NATIVE:
        twin.sub_interleave(packed, out)
        return
    lib.di_sub_interleave(readable(packed), size_of(out) // SUB, writable(out))


def sub_pack(interleaved: ReadableBuffer, out: WriteableBuffer) -> None:
    """Take the channels apart. Whole frames of one number, else ValueError."""
    need(size_of(interleaved) == size_of(out) and size_of(out) % SUB == 0, "whole frames")
    if not NATIVE:
        twin.sub_pack(interleaved, out)
        return
    lib.di_sub_pack(readable(interleaved), size_of(out) // SUB, writable(out))


def q_check(q: ReadableBuffer, pitch: int, wrong: WriteableBuffer) -> None:
    """Say of each Q, `pitch` bytes apart, whether its CRC is wrong: one byte of `wrong` a frame.

    Raises ValueError where `q` has fewer than `wrong` has bytes.
    """
    count = size_of(wrong)
    need(pitch >= Q and (not count or size_of(q) >= (count - 1) * pitch + Q), "too few frames")
    if not NATIVE:
        twin.q_check(q, pitch, wrong)
        return
    lib.di_q_check(readable(q), count, pitch, writable(wrong))


def q_seal(q: WriteableBuffer, pitch: int) -> None:
    """Write the CRC of each Q, `pitch` bytes apart. Raises ValueError for a smaller pitch."""
    need(pitch >= Q, "a Q has 12 bytes")
    if not NATIVE:
        twin.q_seal(q, pitch)
        return
    view = writable(q)
    lib.di_q_seal(view, max(0, len(view) - Q + pitch) // pitch, pitch)
