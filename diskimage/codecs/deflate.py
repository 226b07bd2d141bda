"""Raw deflate (RFC 1951), by the fastest library that is installed.

Decoding: libdeflate (`deflate`), else ISA-L (`isal`), else zlib, which also judges what the others
refuse. Encoding: ISA-L, else zlib; libdeflate, whose window is always 32 KiB, only where the format
has that window: streams with a wider one than it says break readers that decode in steps (research:
performance 5).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cached_property

from diskimage.errors import CorruptError

Decoder = Callable[[memoryview, int], bytes | bytearray | None]
Encoder = Callable[[memoryview], bytes]


class Deflate:
    """A codec of raw deflate chunks. `name` is "deflate"."""

    name = "deflate"

    def __init__(self, window_bits: int = 15, level: int | None = None) -> None:
        self._window_bits, self._level = window_bits, level

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray:
        """Exactly `want` bytes, whether or not the stream goes on. CorruptError."""
        plain = self._quick(coded, want)
        if plain is not None and len(plain) == want:
            return plain
        return _decode(coded, want)

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk as one stream; None where it would not be smaller."""
        made = self._encode(plain)
        return made if len(made) < len(plain) else None

    @cached_property
    def _quick(self) -> Decoder:
        """Loaded once a chunk is decoded: most images have none."""
        return _quick_decoder()

    @cached_property
    def _encode(self) -> Encoder:
        return _encoder(self._window_bits, self._level)


def _decode(coded: memoryview, want: int) -> bytes:
    """By zlib, never more than `want` bytes of memory."""
    if want == 0:
        return b""
    try:
        plain = zlib.decompressobj(-15).decompress(coded, want)
    except zlib.error as error:
        reason = str(error).rpartition(": ")[2]
        raise CorruptError(f"does not decode: {reason}") from None
    if len(plain) != want:
        raise CorruptError(f"gives {len(plain)} of {want} bytes")
    return plain


def _quick_decoder() -> Decoder:
    try:
        import deflate
    except ImportError:
        return _isal_decoder()

    def decode(coded: memoryview, want: int) -> bytearray | None:
        """None where the stream is longer than `want`, has no end, or is damaged."""
        try:
            plain: bytearray = deflate.deflate_decompress(coded, want)
        except deflate.DeflateError:
            return None
        return plain

    return decode


def _isal_decoder() -> Decoder:
    try:
        from isal import igzip_lib, isal_zlib
    except ImportError:
        return lambda _coded, _want: None

    def decode(coded: memoryview, want: int) -> bytes | None:
        """None where ISA-L refuses the stream."""
        try:
            return isal_zlib.decompressobj(wbits=-15).decompress(coded, want or 1)
        except igzip_lib.IsalError:  # type: ignore[misc]  # its stub says instance, not class
            return None

    return decode


def _encoder(window_bits: int, level: int | None) -> Encoder:
    if window_bits == 15 and (made := _quick_encoder(6 if level is None else level)):
        return made
    try:
        from isal import isal_zlib
    except ImportError:
        return _zlib_encoder(window_bits, 6 if level is None else level)
    if level is not None and level > 3:
        return _zlib_encoder(window_bits, level)

    def encode(plain: memoryview) -> bytes:
        coder = isal_zlib.compressobj(3 if level is None else level, wbits=-window_bits)
        return coder.compress(plain) + coder.flush()

    return encode


def _quick_encoder(level: int) -> Encoder | None:
    try:
        import deflate
    except ImportError:
        return None
    return lambda plain: bytes(deflate.deflate_compress(plain, level))


def _zlib_encoder(window_bits: int, level: int) -> Encoder:
    def encode(plain: memoryview) -> bytes:
        coder = zlib.compressobj(min(level, 9), wbits=-window_bits)
        return coder.compress(plain) + coder.flush()

    return encode
