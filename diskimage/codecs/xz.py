"""xz streams (the .xz file format 1.2), by the standard library, which releases the lock."""

from __future__ import annotations

from diskimage.errors import CorruptError
from diskimage.limits import MIB

_MEMORY = 128 * MIB  # of a decoder; a dictionary of 64 MiB, the encoder's largest, needs 65


class Xz:
    """A codec of xz streams. `name` is "xz". A stream gives its chunk whole, no more."""

    name = "xz"

    def __init__(self, level: int = 6) -> None:
        self._level = level

    def decode(self, coded: memoryview, want: int) -> bytes:
        """Exactly `want` bytes, all that the stream holds; its sums are checked. CorruptError."""
        import lzma  # a library of its own: loaded once a chunk is met

        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
        try:
            plain = decoder.decompress(coded, want + 1)
        except lzma.LZMAError as error:
            raise CorruptError(f"does not decode: {error}") from None
        if len(plain) > want:
            raise CorruptError(f"gives more than {want} bytes")
        if len(plain) != want or not decoder.eof:
            raise CorruptError(f"gives {len(plain)} of {want} bytes, and no end")
        return plain

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk as one stream; None where it would not be smaller."""
        import lzma

        made = lzma.compress(plain, lzma.FORMAT_XZ, lzma.CHECK_CRC32, preset=self._level)
        return made if len(made) < len(plain) else None
