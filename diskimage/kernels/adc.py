"""Apple Data Compression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, lib, readable, writable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

if not NATIVE:
    from diskimage.reference import adc as twin


def adc_read(coded: ReadableBuffer, out: WriteableBuffer) -> int:
    """Decode until `out` is full or `coded` ends; give the bytes decoded, -1 for a wrong code."""
    if not NATIVE:
        return twin.adc_read(coded, out)
    view, room = readable(coded), writable(out)
    return int(lib.di_adc_read(view, len(view), room, len(room)))
