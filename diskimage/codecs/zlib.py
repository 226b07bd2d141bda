"""Deflate in a zlib stream (RFC 1950): a header of two bytes before it, its Adler-32 behind.

By libdeflate (`deflate`) where it is installed, else by zlib, which also judges what that refuses.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import TYPE_CHECKING

from diskimage.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Callable


class Zlib:
    """A codec of zlib streams. `name` is "zlib". A stream gives its chunk whole, no more."""

    name = "zlib"

    def __init__(self, level: int | None = None) -> None:
        self._level = 6 if level is None else level

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray:
        """Exactly `want` bytes, all that the stream holds; its sum is checked. CorruptError."""
        plain = self._quick(coded, want)
        return plain if plain is not None and len(plain) == want else _decode(coded, want)

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk as one stream; None where it would not be smaller."""
        made = self._encode(plain, self._level)
        return bytes(made) if len(made) < len(plain) else None

    @cached_property
    def _quick(self) -> Callable[[memoryview, int], bytearray | None]:
        try:
            import deflate
        except ImportError:
            return _no_decoder

        def decode(coded: memoryview, want: int) -> bytearray | None:
            """None where the stream is longer than `want`, has no end, or is damaged."""
            try:
                plain: bytearray = deflate.zlib_decompress(coded, want)
            except deflate.DeflateError:
                return None
            return plain

        return decode

    @cached_property
    def _encode(self) -> Callable[[memoryview, int], bytes | bytearray]:
        try:
            import deflate
        except ImportError:
            return lambda plain, level: zlib.compress(plain, min(level, 9))
        made: Callable[[memoryview, int], bytes | bytearray] = deflate.zlib_compress
        return made


def _no_decoder(_coded: memoryview, _want: int) -> bytearray | None:
    return None


def _decode(coded: memoryview, want: int) -> bytes:
    """By zlib, never more than `want` bytes of memory and one."""
    decoder = zlib.decompressobj()
    try:
        plain = decoder.decompress(coded, want + 1)
    except zlib.error as error:
        raise CorruptError(f"does not decode: {str(error).rpartition(': ')[2]}") from None
    if len(plain) > want:
        raise CorruptError(f"gives more than {want} bytes")
    if len(plain) != want or not decoder.eof:
        raise CorruptError(f"gives {len(plain)} of {want} bytes, and no end")
    return plain
