"""The members of a ZIP archive, where each stands.

Layout: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3 (ZIP64). Little-endian. One disk, nothing that
is encrypted; members stored as they are, or deflated where they are small enough to be held.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from diskimage.errors import ChecksumError, CorruptError, LimitError, UnsupportedError
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import demand, read

END, END64, LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
ENTRY, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
STORED, DEFLATED = 0, 8
ENCRYPTED = 1
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF
REACH = 22 + FULL16  # of the end record from the end of the file, behind it at most its comment
_ENTRY = struct.Struct("<4s4H2H3L5H2L")
_LOCAL = struct.Struct("<4s3H2H3L2H")


class Member(NamedTuple):
    """A file of the archive, as its directory says: `header` is where its own header stands."""

    name: str
    method: int
    flags: int
    crc: int
    stored: int
    size: int
    header: int


class Directory(NamedTuple):
    """The members in the order of the directory, and the comment of the archive."""

    members: tuple[Member, ...]
    comment: bytes


def directory(source: Source, limits: Limits) -> Directory:
    """All members. Raises CorruptError, TruncatedError, LimitError, UnsupportedError."""
    at, size, count, comment = _end(source)
    if size > limits.metadata:
        raise LimitError(f"a directory of {size} bytes, over metadata", file=source.name, at=at)
    data = read(source, at, size, "the directory of the archive")
    found = tuple(_entries(data, source, at))
    if len(found) != count:
        text = f"its directory has {len(found)} members, its end says {count}"
        raise CorruptError(text, file=source.name, at=at)
    return Directory(found, comment)


def _end(source: Source) -> tuple[int, int, int, bytes]:
    """Where the directory is, its bytes, its members, and the comment."""
    begin = max(0, source.size - REACH)
    tail = bytes(read(source, begin, source.size - begin, "the end of the archive"))
    place = tail.rfind(END)
    while place >= 0:
        length = int.from_bytes(tail[place + 20 : place + 22], "little")
        if place + 22 + length == len(tail):
            break
        place = tail.rfind(END, 0, place)
    if place < 0:
        raise CorruptError("is an archive without an end: cut short?", file=source.name)
    disk, first, here, count, size, at = struct.unpack_from("<4H2L", tail, place + 4)
    if FULL16 in (disk, first, here, count) or FULL32 in (size, at):
        disk, first, here, count, size, at = _end64(source, begin + place)
    if disk or first or here != count:
        raise UnsupportedError("is an archive on several disks", file=source.name)
    return at, size, count, tail[place + 22 :]


def _end64(source: Source, end: int) -> tuple[int, int, int, int, int, int]:
    """The fields of the end record of ZIP64, whose locator stands before the other one."""
    if end < 20:
        raise CorruptError("its end says ZIP64, and has no place for it", file=source.name, at=end)
    locator = read(source, end - 20, 20, "the locator of ZIP64")
    if locator[:4] != LOCATOR:
        raise CorruptError("has no locator of ZIP64", file=source.name, at=end - 20)
    at = int.from_bytes(locator[8:16], "little")
    record = read(source, at, 56, "the end record of ZIP64")
    if record[:4] != END64:
        raise CorruptError("has no end record of ZIP64", file=source.name, at=at)
    found: tuple[int, int, int, int, int, int] = struct.unpack_from("<2L4Q", record, 16)
    return found


def _entries(data: bytearray, source: Source, base: int) -> Iterator[Member]:
    """The rows of the directory at `base`."""
    at = 0
    while at < len(data):
        if len(data) - at < _ENTRY.size or data[at : at + 4] != ENTRY:
            text = "its directory is cut short or wrong"
            raise CorruptError(text, file=source.name, at=base + at)
        row = _ENTRY.unpack_from(data, at)
        flags, method, crc, stored, size = row[3], row[4], row[7], row[8], row[9]
        name_at = at + _ENTRY.size
        extra_at = name_at + row[10]
        stop = extra_at + row[11] + row[12]
        if stop > len(data):
            raise CorruptError("a row past its directory", file=source.name, at=base + at)
        name = data[name_at:extra_at].decode("utf-8", "replace")
        wide = _wide(data[extra_at : extra_at + row[11]])
        numbers = []
        for told in (size, stored, row[16]):  # the order of the extra field
            number = next(wide, None) if told == FULL32 else told
            if number is None:
                text = f"the member {name!r} has no sizes of ZIP64"
                raise CorruptError(text, file=source.name, at=base + at)
            numbers.append(number)
        yield Member(name, method, flags, crc, numbers[1], numbers[0], numbers[2])
        at = stop


def _wide(extra: bytearray) -> Iterator[int]:
    """The numbers of the field of ZIP64 (1) in an extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            for place in range(at + 4, min(at + 4 + length, len(extra)) - 7, 8):
                yield int.from_bytes(extra[place : place + 8], "little")
            return
        at += 4 + length


def place(member: Member, source: Source) -> int:
    """Where the bytes of a member that is stored as it is begin. Raises what is wrong with it."""
    if member.method != STORED:
        text = f"the member {member.name!r} is compressed, which content is not"
        raise UnsupportedError(text, file=source.name, at=member.header)
    return _begin(member, source)


def _begin(member: Member, source: Source) -> int:
    """Where the bytes behind a member's own header begin; the file has them all."""
    if member.flags & ENCRYPTED:
        text = f"the member {member.name!r} is encrypted"
        raise UnsupportedError(text, file=source.name, at=member.header)
    if member.method == STORED and member.stored != member.size:
        text = f"the member {member.name!r} has two sizes"
        raise CorruptError(text, file=source.name, at=member.header)
    head = read(source, member.header, _LOCAL.size, f"the header of {member.name!r}")
    if head[:4] != LOCAL:
        text = f"the member {member.name!r} has no header"
        raise CorruptError(text, file=source.name, at=member.header)
    name, extra = struct.unpack_from("<2H", head, 26)
    at = member.header + _LOCAL.size + int(name) + int(extra)
    demand(source, at, member.stored, f"the member {member.name!r}")
    return at


def content(member: Member, source: Source, limit: int, what: str) -> bytes:
    """All bytes of a member of at most `limit`, their CRC right.

    Raises ChecksumError, CorruptError, LimitError, UnsupportedError.
    """
    if member.size > limit or member.stored > limit:
        text = f"{member.name!r} has {max(member.size, member.stored)} bytes, over {what}"
        raise LimitError(text, file=source.name, at=member.header)
    data = bytes(read(source, _begin(member, source), member.stored, repr(member.name)))
    if member.method == DEFLATED:
        data = _inflated(data, member, source)
    elif member.method != STORED:
        text = f"the member {member.name!r} is compressed by method {member.method}"
        raise UnsupportedError(text, file=source.name, at=member.header)
    if zlib.crc32(data) != member.crc:
        text = f"the CRC of {member.name!r} is wrong"
        raise ChecksumError(text, file=source.name, at=member.header)
    return data


def _inflated(data: bytes, member: Member, source: Source) -> bytes:
    inflate = zlib.decompressobj(-15)
    try:
        plain = inflate.decompress(data, member.size + 1)
    except zlib.error:
        plain = b""
    if len(plain) != member.size or not inflate.eof:
        text = f"the member {member.name!r} does not decode to its {member.size} bytes"
        raise CorruptError(text, file=source.name, at=member.header)
    return plain
