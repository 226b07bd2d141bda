"""Volume descriptors of ISO 9660: what trees a disc has and where they begin.

ECMA-119 clause 8; El Torito 1.0 for the boot record; the Joliet specification for the escape
sequences; ISO 9660:1999 for version 2 (enhanced) descriptors; CD-ROM XA for the mark at 1024.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from diskimage.errors import CorruptError, LimitError
from diskimage.filesystems.entries import Warn
from diskimage.filesystems.iso9660.records import SECTOR, Record, long_seconds, record
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import read

FIRST = 16  # the system area takes sectors 0 to 15 (ECMA-119 6.2.1)
MAGIC = b"CD001"

_BOOT, _PRIMARY, _SUPPLEMENTARY, _END = 0, 1, 2, 255
_JOLIET = (b"%/@", b"%/C", b"%/E")  # UCS-2 levels 1 to 3
_TORITO = b"EL TORITO SPECIFICATION"
_BLOCKS = (512, 1024, 2048)
_PAIRS = (  # numbers in both byte orders: at, length, what (8.4)
    (80, 4, "volume space size"),
    (120, 2, "volume set size"),
    (124, 2, "volume sequence number"),
    (128, 2, "logical block size"),
    (132, 4, "path table size"),
)
_TEXTS = (  # at, length, what
    (8, 32, "system"),
    (40, 32, "label"),
    (190, 128, "volume set"),
    (318, 128, "publisher"),
    (446, 128, "preparer"),
    (574, 128, "application"),
)
_DATES = ((813, "created"), (830, "modified"))


@dataclass(frozen=True, slots=True)
class Volume:
    """A primary, supplementary or enhanced descriptor. `tree` is plain, joliet or enhanced."""

    at: int
    tree: str
    block: int  # bytes of a logical block
    space: int  # blocks of the volume
    volumes: int  # discs in the set
    volume: int  # this one of them
    path_table_size: int
    path_tables: tuple[int, int]  # first blocks: little-endian, big-endian table
    root: Record
    xa: bool
    texts: dict[str, str]
    dates: dict[str, float]


@dataclass(frozen=True, slots=True)
class Descriptors:
    """All descriptors of a session. `catalog` is the block of the El Torito boot catalogue."""

    volumes: tuple[Volume, ...]  # the primary first
    catalog: int | None
    ended: bool  # by a terminator


def present(source: Source, base: int = 0) -> bool:
    """Whether the session that begins at sector `base` has an ISO 9660 descriptor."""
    at = (base + FIRST) * SECTOR
    if source.size < at + SECTOR:
        return False
    return bytes(read(source, at, 6, "a volume descriptor")[1:]) == MAGIC


def scan(source: Source, limits: Limits, warn: Warn, base: int = 0) -> Descriptors:
    """The descriptors of the session that begins at sector `base`.

    Raises CorruptError without a usable primary one, LimitError where they do not end.
    """
    volumes: list[Volume] = []
    catalog, ended = None, False
    for at, data in _sectors(source, limits, base):
        kind = data[0]
        if kind == _END:
            ended = True
        elif kind == _BOOT and data[7:39].rstrip(b"\0 ") == _TORITO and catalog is None:
            catalog = int.from_bytes(data[71:75], "little")
        elif kind == _PRIMARY and not volumes:
            volumes.append(_volume(data, at, "plain", source, warn))
        elif kind == _SUPPLEMENTARY and volumes and (tree := _tree(data)):
            volumes += _supplementary(data, at, tree, source, warn)
    if not volumes:
        place = (base + FIRST) * SECTOR
        raise CorruptError("no primary volume descriptor", file=source.name, at=place)
    if not ended:
        warn("corrupt", "the volume descriptors have no terminator", None)
    return Descriptors(tuple(volumes), catalog, ended)


def _sectors(source: Source, limits: Limits, base: int) -> Iterator[tuple[int, bytearray]]:
    """(at, bytes) of each descriptor up to the terminator, or to what is no descriptor."""
    for number in range(limits.volume_descriptors + 1):
        at = (base + FIRST + number) * SECTOR
        if at > source.size - SECTOR:
            return
        data = read(source, at, SECTOR, "a volume descriptor")
        if data[1:6] != MAGIC:
            return
        if number == limits.volume_descriptors:
            break
        yield at, data
        if data[0] == _END:
            return
    message = f"more than {limits.volume_descriptors} volume descriptors (volume_descriptors)"
    raise LimitError(message, file=source.name, at=(base + FIRST) * SECTOR)


def _tree(data: bytearray) -> str | None:
    """What a supplementary descriptor describes; None for a character set that is not ours."""
    if data[6] == 2:
        return "enhanced"
    return "joliet" if any(escape in data[88:120] for escape in _JOLIET) else None


def _supplementary(data: bytearray, at: int, tree: str, source: Source, warn: Warn) -> list[Volume]:
    """The volume, or nothing with a warning: the primary tree can be read without it."""
    try:
        return [_volume(data, at, tree, source, warn)]
    except CorruptError as error:
        warn("corrupt", f"the {tree} tree is left out: {error.message}", at)
        return []


def _volume(data: bytearray, at: int, tree: str, source: Source, warn: Warn) -> Volume:
    """A descriptor's fields. Raises CorruptError where no tree can be read with them."""
    space, volumes, volume, block, table_size = _numbers(data, at, tree, warn)
    if block not in _BLOCKS:
        message = f"a logical block of {block} bytes; 512, 1024 and 2048 are possible"
        raise CorruptError(message, file=source.name, at=at + 128)
    root = record(data, 156, 190, at + 156, source.name)
    if not root.flags & 2:
        message = "the root record is not that of a directory"
        raise CorruptError(message, file=source.name, at=at + 156)
    encoding = "utf-16-be" if tree == "joliet" else "utf-8"
    texts = {
        what: data[begin : begin + length].decode(encoding, "replace").strip(" \0")
        for begin, length, what in _TEXTS
    }
    dates = {
        what: when
        for begin, what in _DATES
        if (when := long_seconds(bytes(data[begin : begin + 17])))
    }
    return Volume(
        at=at,
        tree=tree,
        block=block,
        space=space,
        volumes=volumes,
        volume=volume,
        path_table_size=table_size,
        path_tables=(_int(data, 140, 4, "little"), _int(data, 148, 4, "big")),
        root=root,
        xa=data[1024:1032] == b"CD-XA001",
        texts={what: text for what, text in texts.items() if text},
        dates=dates,
    )


def _numbers(data: bytearray, at: int, tree: str, warn: Warn) -> list[int]:
    """The little-endian one of each pair; a warning where the two differ."""
    numbers = []
    for begin, length, what in _PAIRS:
        number = _int(data, begin, length, "little")
        if number != _int(data, begin + length, length, "big"):
            warn("corrupt", f"{tree}: the {what} differs between byte orders", at + begin)
        numbers.append(number)
    return numbers


def _int(data: bytearray, at: int, length: int, order: str) -> int:
    return int.from_bytes(data[at : at + length], "little" if order == "little" else "big")
