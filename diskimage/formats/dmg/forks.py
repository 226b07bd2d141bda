"""Where a UDIF keeps its tables: the property list, or in old files a resource fork.

Facts: Inside Macintosh, More Macintosh Toolbox, 1-121 (the fork). Not supported: compressed
resources, which no image has.
"""

from __future__ import annotations

from typing import NamedTuple

from construct import Int16ub, Int32ub, Padding, Struct

from diskimage.errors import CorruptError, LimitError
from diskimage.formats.dmg.layout import MISH, Koly
from diskimage.formats.dmg.plist import Value, plist
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import fields, read, struct
from diskimage.words import escape

FORK = Struct("data_at" / Int32ub, "map_at" / Int32ub, "data" / Int32ub, "map" / Int32ub)
MAP = Struct(Padding(24), "types_at" / Int16ub, "names_at" / Int16ub)
BLKX = b"blkx"


class Blob(NamedTuple):
    """A table as stored, its name, and where in the file the list or fork is that holds it."""

    name: str
    data: bytes
    at: int


def blobs(source: Source, koly: Koly, limits: Limits) -> list[Blob]:
    """The tables in their order; none where there is neither list nor fork.

    Raises CorruptError, LimitError.
    """
    if koly.plist_size:
        return _of_plist(source, koly, limits)
    return _of_fork(source, koly, limits) if koly.fork_size else []


def _bounded(source: Source, at: int, size: int, limit: int, what: str) -> bytearray:
    if size > limit:
        text = f"{what} of {size} bytes, over property_list {limit}"
        raise LimitError(text, file=source.name, at=at)
    return read(source, at, size, what)


def _of_plist(source: Source, koly: Koly, limits: Limits) -> list[Blob]:
    at = koly.plist_at
    data = _bounded(source, at, koly.plist_size, limits.property_list, "the property list")
    forks = plist(data, source, at).get("resource-fork")
    rows = forks.get("blkx") if isinstance(forks, dict) else None
    if not isinstance(rows, list) or not rows:
        raise CorruptError("its property list has no tables (blkx)", file=source.name, at=at)
    return [_row(row, number, source, at) for number, row in enumerate(rows)]


def _row(row: Value, number: int, source: Source, at: int) -> Blob:
    data = row.get("Data") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(data, bytes):
        raise CorruptError(f"table {number} has no data", file=source.name, at=at)
    name = row.get("Name") or row.get("CFName") or f"table {number}"
    return Blob(escape(str(name)), data, at)


def _of_fork(source: Source, koly: Koly, limits: Limits) -> list[Blob]:
    at, what = koly.fork_at, "the resource fork"
    data = _bounded(source, at, koly.fork_size, limits.property_list, what)
    head = struct(FORK, source, at, what)
    index = memoryview(data)[head.map_at :]
    listed = fields(MAP, bytes(index[: MAP.sizeof()]), source, at + head.map_at, what)
    found, room = [], len(data)  # resources lie apart: together they are no more than the fork
    types = index[listed.types_at :]
    for row in range(_u16(types, 0) + 1 & 0xFFFF):
        entry = types[2 + 8 * row : 10 + 8 * row]
        if bytes(entry[:4]) == BLKX:
            references = types[_u16(entry, 6) :]
            names = index[listed.names_at :]
            for number in range(_u16(entry, 4) + 1):
                one = _resource(data, head.data_at, references, names, number, source, at)
                room -= max(len(one.data), MISH.sizeof())
                if room < 0:
                    text = f"the resources of {what} have more bytes than it"
                    raise CorruptError(text, file=source.name, at=at)
                found.append(one)
    if not found:
        raise CorruptError(f"{what} has no tables (blkx)", file=source.name, at=at)
    return found


def _resource(
    data: bytearray, data_at: int, references: memoryview, names: memoryview, number: int,
    source: Source, at: int,
) -> Blob:  # fmt: skip
    """Resource `number` of the list: {id, place of its name, attributes and place, 0}."""
    row = references[12 * number : 12 * number + 12]
    begin = data_at + int.from_bytes(row[5:8], "big")
    size = int.from_bytes(data[begin : begin + 4], "big")
    if len(row) < 12 or begin + 4 + size > len(data):
        text = f"resource {number} lies outside of the resource fork"
        raise CorruptError(text, file=source.name, at=at)
    named = _u16(row, 2)
    length = names[named] if named < len(names) else 0
    name = bytes(names[named + 1 : named + 1 + length]).decode("mac-roman")
    return Blob(escape(name or f"table {number}"), bytes(data[begin + 4 : begin + 4 + size]), at)


def _u16(data: memoryview, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
