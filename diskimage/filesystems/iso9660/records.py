"""Directory records of ISO 9660: bytes to values.

ECMA-119 (5th edition) clauses 6.8.1 (a record ends in the sector in which it begins), 7.2 and 7.3
(numbers stored in both byte orders), 9.1 (the record).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct

from diskimage.errors import CorruptError
from diskimage.model import Source
from diskimage.parse import read

SECTOR = 2048  # a logical sector (ECMA-119 6.1.2); a logical block may be smaller
HIDDEN, DIRECTORY, ASSOCIATED, CONTINUED = 0x01, 0x02, 0x04, 0x80  # file flags (9.1.6)
SELF, PARENT = b"\0", b"\1"

_CHUNK = 32 * SECTOR  # what one read of a directory takes
# length, extended attribute blocks, block and size in both orders, date, flags, unit, gap,
# volume in both orders, length of the name
_FIXED = Struct("<BBI4sI4s7sBBBH2xB")


@dataclass(frozen=True, slots=True)
class Record:
    """A directory record. `at` is its own place in the source; `block` where its content begins.

    `sound` tells whether both byte orders agree; the little-endian numbers are kept, as every
    reader does.
    """

    at: int
    block: int  # logical block of the content, behind an extended attribute record
    size: int
    date: bytes
    flags: int
    interleaved: bool
    volume: int  # the disc of the set that holds the content
    name: bytes
    system: bytes  # the system use field
    sound: bool
    stray: bool = False  # stands where its sector should be unused


def record(
    data: bytes | bytearray, at: int, stop: int, place: int, file: str, *, stray: bool = False
) -> Record:
    """The record at `at` of `data`, which must end by `stop`; `place` is its offset in `file`.

    Raises CorruptError where one of its lengths leaves its room.
    """
    length, room = data[at], stop - at
    if not _FIXED.size < length <= room:
        message = f"a directory record of {length} bytes where {_FIXED.size + 1} to {room} can be"
        raise CorruptError(message, file=file, at=place)
    fields = _FIXED.unpack_from(data, at)
    _, attributes, block, block_be, size, size_be, date, flags, unit, gap, volume, named = fields
    name_at = at + _FIXED.size
    system_at = name_at + named + (named + 1) % 2  # the name is padded to an even offset
    if name_at + named > at + length:
        message = f"a name of {named} bytes in a directory record of {length}"
        raise CorruptError(message, file=file, at=place)
    return Record(
        at=place,
        block=block + attributes,
        size=size,
        date=date,
        flags=flags,
        interleaved=bool(unit or gap),
        volume=volume,
        name=bytes(data[name_at : name_at + named]),
        system=bytes(data[system_at : at + length]),
        sound=block == int.from_bytes(block_be, "big") and size == int.from_bytes(size_be, "big"),
        stray=stray,
    )


def records(source: Source, at: int, size: int) -> Iterator[Record]:
    """The records of the directory in [at, at + size) of `source`, itself and its parent too.

    A length of zero means that the rest of its sector is unused; where something stands there
    nevertheless it is read too, as a stray record. Raises TruncatedError, CorruptError.
    """
    place, stop = at, at + size
    while place < stop:
        edge = min(stop, place - place % SECTOR + _CHUNK)
        data = read(source, place, edge - place, "a directory")
        yield from _of_chunk(data, place, source.name)
        place = edge


def _of_chunk(data: bytearray, place: int, file: str) -> Iterator[Record]:
    """The records of a part of a directory that begins and ends where sectors do."""
    at, stray = 0, False
    while at < len(data):
        sector_end = min(len(data), at + SECTOR - (place + at) % SECTOR)
        if data[at] == 0:
            rest = data[at:sector_end].lstrip(b"\0")
            at, stray = sector_end - len(rest), bool(rest)
            continue
        yield record(data, at, sector_end, place + at, file, stray=stray)
        at, stray = at + data[at], False


def seconds(date: bytes) -> float | None:
    """Seconds since 1970 of a 7-byte date (9.1.5), its quarter hours from Greenwich applied.

    None where it names no day; all zeros means that none was given.
    """
    year, month, day, hour, minute, second, quarters = date[:7]
    return _seconds((1900 + year, month, day, hour, minute, second), quarters)


def long_seconds(date: bytes) -> float | None:
    """Seconds since 1970 of a 17-byte date in digits (8.4.26.1), hundredths included."""
    digits = date[:16]
    if not digits.isdigit():
        return None
    year, rest = int(digits[:4]), [int(digits[i : i + 2]) for i in range(4, 16, 2)]
    whole = _seconds((year, *rest[:5]), date[16])
    return None if whole is None else whole + rest[5] / 100


def _seconds(fields: tuple[int, ...], quarters: int) -> float | None:
    year, month, day, hour, minute, second = fields
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    east = quarters - 256 if quarters > 127 else quarters  # signed, 15 minutes each
    return local.timestamp() - east * 900
