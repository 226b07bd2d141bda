"""EWF version 2, the files .Ex01: sections that are chained from the end of a segment.

Facts: the libewf project's description of the format and a file that EnCase's layout is seen in;
docs/formats/e01.md draws it. Little-endian. Encrypted files are named and refused.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple
from zlib import adler32

from construct import Bytes, Const, Int8ul, Int16ul, Int32ul, Int64ul, Struct

from diskimage.errors import (
    ChecksumError,
    ContentError,
    CorruptError,
    LimitError,
    LoopError,
    UnsupportedError,
)
from diskimage.formats.e01 import layout, texts
from diskimage.formats.e01.chunks import (
    CODED,
    EITHER,
    PATTERN,
    SHORT_CODED,
    SHORT_SUMMED,
    SUM,
    SUMMED,
    Last,
)
from diskimage.formats.e01.gathering import Found, in_order, segments
from diskimage.formats.e01.layout import ENTRIES, FAULTS, SECTIONS, Table, Volume, lost
from diskimage.layers.chunks import PLAIN, ZERO, Columns
from diskimage.layers.table import words
from diskimage.model import Gate, Source
from diskimage.parse import fields, read, struct

MAGIC = b"EVF2\x0d\x0a\x81\0"
DEVICE, CASE, TABLE, FAULT, MD5, SHA1, KEYS, NEXT, DONE = 1, 2, 4, 5, 8, 9, 0xB, 0xD, 0xF
ENCRYPTED = 2
PACKED, HAS_SUM, FILL = 1, 2, 4
FILE = Struct(
    "magic" / Const(MAGIC), "major" / Int8ul, "minor" / Int8ul, "compression" / Int16ul,
    "segment" / Int32ul, "guid" / Bytes(16),
)  # fmt: skip
SECTION = Struct(
    "type" / Int32ul, "flags" / Int32ul, "previous" / Int64ul, "length" / Int64ul,
    "size" / Int32ul, "padding" / Int32ul, "md5" / Bytes(16), "unused" / Bytes(12), "sum" / Int32ul,
)  # fmt: skip
HEAD = Struct("first" / Int64ul, "count" / Int32ul, "unused" / Bytes(4), "sum" / Int32ul)
ROW = 16
ROWS = 32  # bytes before the rows of a table
BEGIN: int = FILE.sizeof()
TAIL: int = SECTION.sizeof()


class Section(NamedTuple):
    """A section's content: `length` bytes at `at` of its segment."""

    type: int
    at: int
    length: int


def sections(source: Source) -> list[Section]:
    """The sections of a segment in order. Raises what reading them does."""
    found, at = [], source.size - TAIL
    for _ in range(SECTIONS):
        raw = read(source, at, TAIL, "a section")
        head = fields(SECTION, raw, source, at, "a section")
        if adler32(raw[:-4]) != head.sum:
            text = "the sum of a section is wrong, or the file is cut short"
            raise ChecksumError(text, file=source.name, at=at)
        if head.type == KEYS or head.flags & ENCRYPTED:
            raise UnsupportedError("is encrypted", file=source.name, at=at)
        if head.length > at - BEGIN:
            text = f"a section of {head.length} bytes that ends at {at}"
            raise CorruptError(text, file=source.name, at=at + 16)
        found.append(Section(head.type, at - head.length, head.length))
        if not head.previous:
            return found[::-1]
        if head.previous >= at:
            raise LoopError("a section leads back to itself", file=source.name, at=at + 8)
        at = head.previous
    raise LimitError(f"more than {SECTIONS} sections in a file", file=source.name)


def gathered(source: Source, gate: Gate) -> Found:
    """All sections of all segments of version 2. Raises DiskImageError."""
    walk, base, guid = _Walk(gate), 0, b""
    for number, part in segments(source, gate):
        head = struct(FILE, part, 0, "EWF2 header")
        if head.major != 2:
            raise UnsupportedError(f"EWF version {head.major}.{head.minor}", file=part.name, at=8)
        in_order(head.segment, number, part)
        guid = guid or head.guid
        if head.guid != guid:
            raise CorruptError("belongs to another set", file=part.name, at=16)
        walk.found.compression = head.compression
        last = 0
        with gate.faults.surviving():
            last = walk.segment(part, base)
            if last not in (DONE, NEXT):
                raise CorruptError("its last section is neither next nor done", file=part.name)
        base += part.size
        if last == DONE:
            break
    walk.found.volumes.append(walk.volume())
    return walk.found


class _Walk:
    """The sections of one segment after the other."""

    def __init__(self, gate: Gate) -> None:
        self.found, self._gate, self._texts = Found(), gate, texts.Counted()

    def segment(self, source: Source, base: int) -> int:
        """The type of the last section."""
        self.found.sources.append(source)
        last, self._texts = 0, texts.Counted()
        for section in sections(source):
            last = section.type
            if last in (DEVICE, CASE):
                self._text(source, section)
            elif last == TABLE:
                self._table(source, section, base)
            elif last == FAULT:
                self._faults(source, section)
            elif last in (MD5, SHA1):
                self._hash(source, section, *(("md5", 16) if last == MD5 else ("sha1", 20)))
        return last

    def volume(self) -> Volume:
        """What the texts of device and case say of sizes."""
        told, source = self.found.values, self.found.sources[0]
        numbers = {}
        for name in ("ts", "bp", "sb", "tb"):
            value = told.get(name, "")
            if not (value.isascii() and value.isdecimal() and len(value) < 20):
                raise CorruptError(f"{name} is {value!r} in its texts", file=source.name)
            numbers[name] = int(value)
        size, chunk = numbers["ts"] * numbers["bp"], numbers["sb"] * numbers["bp"]
        made = Volume(1, 0, size, numbers["bp"], chunk, numbers["tb"], 1, b"")
        layout.judge(made, source, 0, self._gate.limits)
        return made

    def _text(self, source: Source, section: Section) -> None:
        self._texts.one_more(source)
        raw = read(source, section.at, min(section.length, layout.TEXT), "a text")
        try:
            self.found.values |= texts.told(texts.unpacked(raw))
        except ContentError as error:
            raise type(error)(error.message, file=source.name, at=section.at) from None

    def _head(self, source: Source, section: Section, bytes_: int, what: str) -> bytearray:
        """The summed head of a section that needs `bytes_` at least."""
        if section.length < bytes_:
            text = f"{what} of {section.length} bytes"
            raise CorruptError(text, file=source.name, at=section.at)
        raw = read(source, section.at, 20, what)
        if adler32(raw[:16]) != int.from_bytes(raw[16:], "little"):
            raise ChecksumError(f"the sum of {what} is wrong", file=source.name, at=section.at)
        return raw

    def _table(self, source: Source, section: Section, base: int) -> None:
        raw = self._head(source, section, ROWS, "a table of chunks")
        head = fields(HEAD, raw, source, section.at, "a table of chunks")
        length = ROW * head.count
        if ROWS + length + 4 > section.length:
            text = f"a table of {head.count} chunks in {section.length} bytes"
            raise CorruptError(text, file=source.name, at=section.at)
        if head.count > ENTRIES:
            text = f"a table of {head.count} chunks, over {ENTRIES}"
            raise LimitError(text, file=source.name, at=section.at)
        if self._gate.faults.salvaging and head.first > self.found.count:
            self.found.tables.append(lost(self.found.count, head.first - self.found.count))
        if head.first != self.found.count:
            text = f"a table from chunk {head.first} on, after {self.found.count} chunks"
            raise CorruptError(text, file=source.name, at=section.at)
        at = section.at + ROWS
        total = int.from_bytes(read(source, at + length, 4, "a table's sum"), "little")
        self.found.tables.append(
            Table(head.first, head.count, base + at, base, base, base + source.size, total)
        )

    def _faults(self, source: Source, section: Section) -> None:
        raw = self._head(source, section, ROWS, "the unreadable sectors")
        count = int.from_bytes(raw[:4], "little")
        if count > FAULTS:
            raise LimitError(f"{count} rows of unreadable sectors, over {FAULTS}", file=source.name)
        if ROWS + ROW * count > section.length:
            text = f"{count} rows of unreadable sectors in {section.length} bytes"
            raise CorruptError(text, file=source.name, at=section.at)
        rows = words(read(source, section.at + ROWS, ROW * count, "the unreadable sectors"), "Q")
        told = zip(rows[::2], rows[1::2], strict=True)
        self.found.unreadable([(first, sectors & 0xFFFFFFFF) for first, sectors in told], source)

    def _hash(self, source: Source, section: Section, name: str, length: int) -> None:
        raw = read(source, section.at, length + 4, "a stored hash")
        if adler32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
            self._gate.warn("checksum", f"the sum of the stored {name} is wrong", section.at)
            return
        self.found.hashes[name] = bytes(raw[:-4])


class Rows:
    """The rows of the tables of version 2, out of the set `data`."""

    def __init__(self, data: Source, chunk: int, last: Last) -> None:
        self._data, self._chunk, self._last = data, chunk, last

    def proven(self, table: Table) -> bytearray:
        """The rows of a table. ChecksumError."""
        raw = read(self._data, table.at, ROW * table.chunks, "a table of chunks")
        if adler32(raw) != table.sum:
            text = "the sum of a table of chunks is wrong"
            raise ChecksumError(text, file=self._data.name, at=table.at)
        return raw

    def columns(self, table: Table) -> Columns:
        """Places, stored bytes and codes. CorruptError, UnsupportedError."""
        raw = words(self.proven(table), "Q")
        at, stored, code = array("q"), array("q"), bytearray()
        for number, (place, told) in enumerate(zip(raw[::2], raw[1::2], strict=True)):
            length, flags = told & 0xFFFFFFFF, told >> 32
            if flags & FILL:  # the row itself holds the eight bytes
                at.append(table.at + ROW * number)
                stored.append(8)
                code.append(PATTERN if place else ZERO)
                continue
            if place > table.stop - table.begin:
                text = f"chunk {table.first + number} lies at {place}, past the end"
                raise CorruptError(text, file=self._data.name, at=table.at + ROW * number)
            at.append(table.begin + place)
            kind, kept = self._kind(table.first + number, length, flags)
            stored.append(kept)
            code.append(kind)
        return Columns(at, stored, bytes(code))

    def _kind(self, number: int, length: int, flags: int) -> tuple[int, int]:
        """The code of a chunk and how many of its stored bytes count."""
        short = number == self._last.number and self._last.length < self._chunk
        alone = length == self._chunk + SUM
        if flags & PACKED:
            return SHORT_CODED if short else CODED if alone else EITHER, length
        if flags & HAS_SUM:
            return SHORT_SUMMED if short else EITHER if alone else SUMMED, length
        return PLAIN, min(length, self._last.length if short else self._chunk)
