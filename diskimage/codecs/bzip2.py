"""bzip2, by the standard library, which releases the interpreter's lock."""

from __future__ import annotations

from diskimage.errors import CorruptError


class Bzip2:
    """A codec of bzip2 streams. `name` is "bzip2". A stream gives its chunk whole, no more."""

    name = "bzip2"

    def __init__(self, level: int = 9) -> None:
        self._level = level

    def decode(self, coded: memoryview, want: int) -> bytes:
        """Exactly `want` bytes, all that the stream holds; its sums are checked. CorruptError."""
        import bz2  # only who meets such chunks loads it

        decoder = bz2.BZ2Decompressor()
        try:
            plain = decoder.decompress(coded, want + 1)
        except OSError as error:
            raise CorruptError(f"does not decode: {error}") from None
        if len(plain) > want:
            raise CorruptError(f"gives more than {want} bytes")
        if len(plain) != want or not decoder.eof:
            raise CorruptError(f"gives {len(plain)} of {want} bytes, and no end")
        return plain

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk as one stream; None where it would not be smaller."""
        import bz2

        made = bz2.compress(plain, self._level)
        return made if len(made) < len(plain) else None
