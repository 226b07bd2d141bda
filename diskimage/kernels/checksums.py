"""CRC-32C, as VHDX, qcow2 bitmaps and many file systems use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, lib, readable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

if not NATIVE:
    from diskimage.reference import checksums as twin


def crc32c(buffer: ReadableBuffer, value: int = 0) -> int:
    """Give the CRC-32C (Castagnoli, RFC 3720 B.4) of a buffer, continued from `value`."""
    if not NATIVE:
        return twin.crc32c(buffer, value)
    view = readable(buffer)
    return int(lib.di_crc32c(view, len(view), value))
