"""CD-TEXT: packs of 18 bytes in the lead-in, and what they say (MMC-3 annex J, Red Book)."""

from __future__ import annotations

from diskimage.errors import CorruptError
from diskimage.model import Source
from diskimage.parse import read

PACK = 18
MOST = 8 * 256 * PACK  # eight languages of at most 256 packs
_FIRST = 0x80  # the lowest type of a pack


def stored(source: Source) -> bytes:
    """The packs in a file of their own, without the header and the closing zero that it may have.

    Raises CorruptError where it holds no whole packs, or more than eight languages can have.
    """
    if source.size > MOST + 5:
        raise CorruptError(f"{source.size} bytes are more than CD-TEXT can have", file=source.name)
    return packs(bytes(read(source, 0, source.size, "CD-TEXT packs")), source.name)


def packs(data: bytes, file: str) -> bytes:
    """`data` without a header of 4 bytes (length, zero) and one closing zero byte."""
    if len(data) >= 4 and data[0] < _FIRST and int.from_bytes(data[:2], "big") + 2 == len(data):
        data = data[4:]
    if len(data) % PACK == 1 and data[-1] == 0:
        data = data[:-1]
    if not data or len(data) % PACK:
        raise CorruptError(f"{len(data)} bytes are no whole packs of {PACK}", file=file)
    return data
