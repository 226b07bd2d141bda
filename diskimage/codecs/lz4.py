"""LZ4 blocks (the LZ4 block format description), by the `lz4` wheel where it is installed.

The wheel takes a block to its very last byte; a padded one, and any other it refuses, is judged
here: a block has no end of its own but the number of bytes it is to give.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from diskimage.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PADDING = 16  # bytes tried: tables of offsets align chunks to a few


class Lz4:
    """A codec of LZ4 blocks. `name` is "lz4". It decodes alone."""

    name = "lz4"

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray:
        """Exactly `want` bytes, whatever follows. CorruptError."""
        for end in _ends(coded):
            plain = self._quick(coded[:end], want)
            if plain is not None and len(plain) == want:
                return plain
        return decoded(coded, want)

    @cached_property
    def _quick(self) -> Callable[[memoryview, int], bytes | None]:
        try:
            from lz4 import block
        except ImportError:
            return lambda _coded, _want: None

        def decode(coded: memoryview, want: int) -> bytes | None:
            try:
                plain: bytes = block.decompress(coded, uncompressed_size=want)
            except block.LZ4BlockError:
                return None
            return plain

        return decode


def _ends(coded: memoryview) -> Iterator[int]:
    """Where a block may end: at its last byte, or before zeros that align the next one."""
    end = len(coded)
    yield end
    while end and len(coded) - end < PADDING and not coded[end - 1]:
        end -= 1
        yield end


def decoded(coded: memoryview, want: int) -> bytearray:
    """The first `want` bytes of a block, sequence by sequence. CorruptError."""
    out = bytearray()
    at, end = 0, len(coded)
    while len(out) < want and at < end:
        token = coded[at]
        length, at = _length(coded, at + 1, token >> 4)
        if length > end - at:
            raise CorruptError("does not decode: literals past the end")
        out += coded[at : at + min(length, want - len(out))]
        at += length
        if len(out) >= want or at >= end:
            break
        if end - at < 2:
            raise CorruptError("does not decode: a match past the end")
        distance = coded[at] | coded[at + 1] << 8
        length, at = _length(coded, at + 2, token & 15)
        _match(out, distance, min(length + 4, want - len(out)))
    if len(out) != want:
        raise CorruptError(f"gives {len(out)} of {want} bytes")
    return out


def _length(coded: memoryview, at: int, length: int) -> tuple[int, int]:
    """A length of 4 bits, and of more bytes where all are set; and where those end."""
    if length < 15:
        return length, at
    while at < len(coded):
        length += coded[at]
        at += 1
        if coded[at - 1] != 255:
            return length, at
    raise CorruptError("does not decode: a length past the end")


def _match(out: bytearray, distance: int, length: int) -> None:
    """`length` bytes again from `distance` back; they may be among those just written."""
    if not 0 < distance <= len(out):
        raise CorruptError(f"does not decode: a match {distance} bytes back of {len(out)}")
    piece = bytes(out[-distance:][:length])
    out += (piece * (length // len(piece) + 1))[:length]
