"""The layout of EWF version 1, the files .E01 and .s01: sections, volume, tables, errors, hashes.

Facts: the libewf project's description of the format; docs/formats/e01.md draws it. Little-endian.
Every structure ends in its Adler-32. A section names the place of the next one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from construct import Bytes, Const, Int8ul, Int16ul, Int32ul, Int64ul, Padding, Struct

from diskimage.errors import ChecksumError, CorruptError, LimitError, LoopError
from diskimage.layers.table import words
from diskimage.limits import MIB, Limits
from diskimage.model import Source
from diskimage.parse import demand, fields, read, struct

MAGIC = b"EVF\x09\x0d\x0a\xff\0"
LOGICAL = (b"LVF\x09\x0d\x0a\xff\0", b"LEF2\x0d\x0a\x81\0")
SEALED = b"ADCRYPT\0"
COMPRESSED = 1 << 31  # in an entry of a table
SECTIONS = 1 << 16  # of one segment; real ones have below a thousand
ENTRIES = 1 << 20  # of one table; writers stop at 65,534
FAULTS = 1 << 16  # rows of unreadable sectors
TEXT = MIB  # decoded bytes of the texts of a header
SMART = 94  # bytes of the short volume section

FILE = Struct("magic" / Const(MAGIC), "one" / Int8ul, "segment" / Int16ul, "zero" / Int16ul)
SECTION = Struct(
    "type" / Bytes(16), "next" / Int64ul, "size" / Int64ul, Padding(40), "sum" / Int32ul
)
VOLUME = Struct(
    "media" / Int8ul, Padding(3), "chunks" / Int32ul, "per_chunk" / Int32ul, "sector" / Int32ul,
    "sectors" / Int64ul, Padding(12), "flags" / Int8ul, Padding(15), "compression" / Int8ul,
    Padding(3), "granularity" / Int32ul, Padding(4), "guid" / Bytes(16),
)  # fmt: skip
TABLE = Struct("count" / Int32ul, Padding(4), "base" / Int64ul, Padding(4), "sum" / Int32ul)
FAULT = Struct("sector" / Int32ul, "sectors" / Int32ul)
HEAD: int = SECTION.sizeof()
BEGIN: int = FILE.sizeof()
ROWS: int = TABLE.sizeof()


class Section(NamedTuple):
    """A section's content: `length` bytes at `at` of its segment."""

    type: str
    at: int
    length: int


class Volume(NamedTuple):
    """What is stored, as the volume section says. Sizes in bytes, `size` of the guest."""

    media: int
    flags: int
    size: int
    sector: int
    chunk: int
    chunks: int
    compression: int
    guid: bytes


class Table(NamedTuple):
    """`chunks` from chunk `first` on: where their entries are, and where they may lie.

    All places count from the beginning of the set. `sum` is the Adler-32 of the entries, `base`
    what they count from, `copy` the same table once more. `at` is -1 where the chunks are lost.
    """

    first: int
    chunks: int
    at: int
    base: int
    begin: int
    stop: int
    sum: int | None = None
    copy: Table | None = None


def lost(first: int, chunks: int) -> Table:
    """In place of tables that are missing or damaged."""
    return Table(first, chunks, -1, 0, 0, 0)


def adler(data: bytes | bytearray) -> int:
    """The sum that every structure ends in."""
    return zlib.adler32(data)


def sections(source: Source) -> Iterator[Section]:
    """The sections of a segment in order; the last one is "next" or "done".

    Raises ChecksumError, LoopError, TruncatedError, LimitError.
    """
    at = BEGIN
    for _ in range(SECTIONS):
        raw = read(source, at, HEAD, "a section")
        head = fields(SECTION, raw, source, at, "a section")
        if adler(raw[:-4]) != head.sum:
            raise ChecksumError("the sum of a section is wrong", file=source.name, at=at)
        kind = bytes(head.type).partition(b"\0")[0].decode("ascii", "replace")
        if kind in ("next", "done"):
            yield Section(kind, at + HEAD, 0)
            return
        if head.next <= at:
            text = f"the section {kind!r} leads back to {head.next}"
            raise LoopError(text, file=source.name, at=at + 16)
        if head.next < at + HEAD:
            raise CorruptError(f"the section {kind!r} overlaps the next", file=source.name, at=at)
        demand(source, head.next, HEAD, f"what follows the section {kind!r}")
        yield Section(kind, at + HEAD, head.next - at - HEAD)
        at = head.next
    raise LimitError(f"more than {SECTIONS} sections in a file", file=source.name)


def summed(source: Source, at: int, length: int, what: str) -> bytearray | None:
    """A structure of `length` bytes, its sum among them; None where that is wrong."""
    raw = read(source, at, length, what)
    return raw if adler(raw[:-4]) == int.from_bytes(raw[-4:], "little") else None


def volume(source: Source, section: Section, limits: Limits) -> Volume | None:
    """The volume that a section describes; None where its sum is wrong.

    Raises CorruptError, LimitError.
    """
    if section.length not in (SMART, 1052):
        text = f"a volume of {section.length} bytes, not {SMART} or 1052"
        raise CorruptError(text, file=source.name, at=section.at)
    raw = summed(source, section.at, section.length, "the volume")
    if raw is None:
        return None
    told = fields(VOLUME, raw[: VOLUME.sizeof()], source, section.at, "the volume")
    sectors = told.sectors
    if section.length == SMART:
        sectors &= 0xFFFFFFFF
    made = Volume(
        told.media, told.flags, sectors * told.sector, told.sector, told.per_chunk * told.sector,
        told.chunks, told.compression, bytes(told.guid) if section.length > SMART else bytes(16),
    )  # fmt: skip
    judge(made, source, section.at, limits)
    return made


def judge(told: Volume, source: Source, at: int, limits: Limits) -> None:
    """Sizes agree with one another and with `limits`. Raises CorruptError, LimitError."""
    if not told.sector or not told.chunk:
        text = f"chunks of {told.chunk} bytes in sectors of {told.sector}"
        raise CorruptError(text, file=source.name, at=at)
    if told.chunk > limits.chunk:
        text = f"chunks of {told.chunk} bytes, over chunk {limits.chunk}"
        raise LimitError(text, file=source.name, at=at)
    if told.size > limits.guest_size:
        raise LimitError(f"guest size {told.size} is over guest_size", file=source.name, at=at)
    need = -(-told.size // told.chunk)
    if told.chunks != need:
        text = (
            f"{told.chunks} chunks of {told.chunk} bytes for {told.size} bytes, which need {need}"
        )
        raise CorruptError(text, file=source.name, at=at)


def table(source: Source, section: Section, sectors: Section | None, base: int) -> Table | None:
    """A table whose chunks lie in `sectors`, or behind it in its own section where that is None.

    `base` is the place of the segment in the set. None where its sum is wrong. CorruptError.
    """
    raw = summed(source, section.at, ROWS, "a table of chunks")
    if raw is None:
        return None
    head = fields(TABLE, raw, source, section.at, "a table of chunks")
    rows, room = ROWS + 4 * head.count, section.length
    if rows > room:
        text = f"a table of {head.count} chunks in a section of {room} bytes"
        raise CorruptError(text, file=source.name, at=section.at)
    if head.count > ENTRIES:
        text = f"a table of {head.count} chunks, over {ENTRIES}"
        raise LimitError(text, file=source.name, at=section.at)
    if head.base > source.size:
        text = f"a table counts from {head.base} on, the file has {source.size} bytes"
        raise CorruptError(text, file=source.name, at=section.at + 8)
    total = None
    if sectors is not None and rows + 4 <= room:
        total = int.from_bytes(read(source, section.at + rows, 4, "a table's sum"), "little")
    inner = sectors or Section("", section.at + rows, room - rows)
    return Table(
        0, head.count, base + section.at + ROWS, base + head.base,
        base + inner.at, base + inner.at + inner.length, total,
    )  # fmt: skip


def faults(source: Source, section: Section) -> list[tuple[int, int]]:
    """The (first sector, sectors) that could not be read. Raises ContentError."""
    raw = summed(source, section.at, 520, "the unreadable sectors")
    if raw is None:
        text = "the sum of the list of unreadable sectors is wrong"
        raise ChecksumError(text, file=source.name, at=section.at)
    count, wide = int.from_bytes(raw[:4], "little"), FAULT.sizeof()
    if count > FAULTS:
        text = f"{count} rows of unreadable sectors, over {FAULTS}"
        raise LimitError(text, file=source.name, at=section.at)
    if 520 + wide * count > section.length:
        text = f"{count} rows of unreadable sectors in a section of {section.length} bytes"
        raise CorruptError(text, file=source.name, at=section.at)
    rows = read(source, section.at + 520, wide * count, "the unreadable sectors")
    told = words(rows, "I")
    return list(zip(told[::2], told[1::2], strict=True))


def segment(source: Source) -> int:
    """The number that the header of a segment says."""
    number: int = struct(FILE, source, 0, "EWF header").segment
    return number
