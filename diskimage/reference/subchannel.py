"""Twins of `kernels.subchannel`: channels by bit and by byte, the CRC of Q."""

from __future__ import annotations

from binascii import crc_hqx
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

SUB = 96  # bytes a frame
Q = 12  # of one channel
_CODED = 10  # bytes of Q before their CRC
_SPREAD = [sum((byte >> (7 - i) & 1) << 8 * (7 - i) for i in range(8)) for byte in range(256)]
"""The bits of a byte as eight bytes of one bit each, the highest first."""


def sub_interleave(packed: ReadableBuffer, out: WriteableBuffer) -> None:
    """A bit of each channel in every byte, P the highest."""
    view, made = memoryview(packed).cast("B"), memoryview(out).cast("B")
    for start in range(0, len(view), SUB):
        for k in range(Q):
            rows = 0
            for channel in range(8):
                rows |= _SPREAD[view[start + channel * Q + k]] << 7 - channel
            made[start + 8 * k : start + 8 * k + 8] = rows.to_bytes(8, "big")


def sub_pack(interleaved: ReadableBuffer, out: WriteableBuffer) -> None:
    """12 bytes of each channel in turn."""
    view, made = memoryview(interleaved).cast("B"), memoryview(out).cast("B")
    for start in range(0, len(view), SUB):
        for k in range(Q):
            rows = 0
            for i in range(8):
                rows |= _SPREAD[view[start + 8 * k + i]] << 7 - i
            made[start + k : start + SUB : Q] = rows.to_bytes(8, "big")


def q_check(q: ReadableBuffer, pitch: int, wrong: WriteableBuffer) -> None:
    """One byte a frame: 1 where the CRC of its Q is wrong."""
    view, out = memoryview(q).cast("B"), memoryview(wrong).cast("B")
    for i in range(len(out)):
        row = view[i * pitch : i * pitch + Q]
        out[i] = _crc(row) != row[_CODED:]


def q_seal(q: WriteableBuffer, pitch: int) -> None:
    """Write the CRC of each frame's Q."""
    view = memoryview(q).cast("B")
    for at in range(0, len(view) - Q + 1, pitch):
        view[at + _CODED : at + Q] = _crc(view[at : at + Q])


def _crc(row: memoryview) -> bytes:
    """CRC-16, polynomial 0x1021, from 0, inverted, big-endian (IEC 60908 17.5.1)."""
    return (crc_hqx(row[:_CODED], 0) ^ 0xFFFF).to_bytes(2, "big")
