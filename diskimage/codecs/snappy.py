"""Snappy blocks (google/snappy, format_description), by the `cramjam` wheel where it is installed.

A block says first how many bytes it gives. Without the wheel it is decoded here, part by part.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from diskimage.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Callable

LITERAL, COPY1, COPY2 = 0, 1, 2


class Snappy:
    """A codec of Snappy blocks. `name` is "snappy". It decodes alone."""

    name = "snappy"

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray:
        """Exactly `want` bytes, which the block says it gives. CorruptError."""
        told, at = told_size(coded)
        if told != want:
            raise CorruptError(f"says it gives {told} bytes, not {want}")
        quick = self._quick(coded, want)
        return decoded(coded[at:], want) if quick is None else quick

    @cached_property
    def _quick(self) -> Callable[[memoryview, int], bytearray | None]:
        try:
            from cramjam import DecompressionError, snappy
        except ImportError:
            return lambda _coded, _want: None

        def decode(coded: memoryview, want: int) -> bytearray | None:
            out = bytearray(want)
            try:
                snappy.decompress_raw_into(coded, out)
            except DecompressionError:
                raise CorruptError("does not decode") from None
            return out

        return decode


def told_size(coded: memoryview) -> tuple[int, int]:
    """How many bytes a block says it gives, and where its elements begin. CorruptError."""
    size = 0
    for at, byte in enumerate(coded[:5]):
        size |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return size, at + 1
    raise CorruptError("has no length")


def decoded(coded: memoryview, want: int) -> bytearray:
    """The bytes that elements give, `want` of them. CorruptError."""
    out = bytearray()
    at, end = 0, len(coded)
    while at < end:
        tag = coded[at]
        kind, at = tag & 3, at + 1
        if kind == LITERAL:
            length, at = _literal_length(coded, tag >> 2, at)
            if length > end - at:
                raise CorruptError("does not decode: literals past the end")
            out += coded[at : at + length]
            at += length
        else:
            width = (0, 1, 2, 4)[kind]
            if width > end - at:
                raise CorruptError("does not decode: a copy past the end")
            distance = int.from_bytes(coded[at : at + width], "little")
            length = (tag >> 2) + 1
            if kind == COPY1:
                distance |= (tag >> 5) << 8
                length = (tag >> 2 & 7) + 4
            at += width
            _copy(out, distance, length)
        if len(out) > want:
            raise CorruptError(f"gives more than its {want} bytes")
    if len(out) != want:
        raise CorruptError(f"gives {len(out)} of {want} bytes")
    return out


def _literal_length(coded: memoryview, code: int, at: int) -> tuple[int, int]:
    """The bytes of a literal, and where they begin: past 60 the length stands behind the tag."""
    if code < 60:
        return code + 1, at
    width = code - 59
    return int.from_bytes(coded[at : at + width], "little") + 1, at + width


def _copy(out: bytearray, distance: int, length: int) -> None:
    """`length` bytes again from `distance` back; they may be among those just written."""
    if not 0 < distance <= len(out):
        raise CorruptError(f"does not decode: a copy {distance} bytes back of {len(out)}")
    piece = bytes(out[-distance:][:length])
    out += (piece * (length // len(piece) + 1))[:length]
