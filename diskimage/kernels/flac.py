"""FLAC frames (RFC 9639) of two channels of 16 bits, without a stream's header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, lib, need, readable, size_of, writable
from diskimage.reference import flac as twin
from diskimage.reference.flac import LONGEST

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["LONGEST", "flac_read", "flac_write"]


def flac_read(coded: ReadableBuffer, out: WriteableBuffer, *, big_endian: bool) -> int:
    """Decode whole frames until `out` is full; give the bytes they took, -1 where they are none.

    Frames have at most 4608 samples. Their checksums are not looked at. Raises ValueError.
    """
    need(size_of(out) % 4 == 0, "out holds whole samples of two channels")
    if not NATIVE:
        return twin.flac_read(coded, out, big_endian=big_endian)
    view, room = readable(coded), writable(out)
    return int(lib.di_flac_read(view, len(view), big_endian, room, len(room)))


def flac_write(pcm: ReadableBuffer, block: int, *, big_endian: bool) -> bytes | None:
    """Code 16-bit stereo as frames of `block` samples, the last shorter; None where that would not
    be smaller. What two builds write may differ; what it decodes to does not. Raises ValueError."""
    size = size_of(pcm)
    need(size % 4 == 0, "whole samples of two channels")
    need(0 < block <= LONGEST and size <= block << 18, "at most 65536 frames of 4608 samples")
    if not NATIVE:
        return twin.flac_write(pcm, block, big_endian=big_endian)
    out = bytearray(size)
    done = lib.di_flac_write(readable(pcm), size // 4, block, big_endian, writable(out), size)
    return None if done < 0 else bytes(memoryview(out)[:done])
