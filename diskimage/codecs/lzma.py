"""LZMA without a header, as CHD has it: lc 3, lp 0, pb 2, a dictionary no larger than a chunk."""

from __future__ import annotations

from diskimage.errors import CorruptError

_LEAST, _MOST = 4096, 64 << 20  # of a dictionary; the most is that of the encoder's level 9


class Lzma:
    """A codec of raw LZMA chunks. `name` is "lzma". What it writes ends with an end mark."""

    name = "lzma"

    def __init__(self, level: int = 9) -> None:
        self._level = level

    def decode(self, coded: memoryview, want: int) -> bytes:
        """Exactly `want` bytes, whether or not there is an end mark. CorruptError."""
        import lzma  # a library of its own: loaded once a chunk is met

        if want == 0:
            return b""
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_shape(want)])
        try:
            plain = decoder.decompress(coded, want)
        except lzma.LZMAError as error:
            raise CorruptError(f"does not decode: {error}") from None
        if len(plain) != want:
            raise CorruptError(f"gives {len(plain)} of {want} bytes")
        return plain

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk; None where it would not be smaller."""
        import lzma

        filters = [{**_shape(len(plain)), "preset": self._level}]
        made = lzma.compress(plain, lzma.FORMAT_RAW, filters=filters)
        return made if len(made) < len(plain) else None


def _shape(size: int) -> dict[str, int]:
    """The filter of a chunk of `size` bytes."""
    import lzma

    room = min(_MOST, max(_LEAST, size))
    return {"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2, "dict_size": room}
