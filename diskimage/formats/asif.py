"""ASIF, the sparse image of macOS 26: chunks behind tables, and a bitmap for chunks in part.

Facts: huven/asif-format and dissect.hypervisor's reader; Apple published none. Big-endian.
docs/formats/asif.md draws it. Not supported: layers over another image, the metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from construct import Bytes, Const, Int16ub, Int32ub, Int64ub, Struct

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.layers.claims import Claims
from diskimage.layers.table import Pages, words
from diskimage.limits import Limits
from diskimage.model import Bid, Device, Extent, Finding, Format, Gate, Kind, Look, Runs, Source
from diskimage.parse import demand, read, struct
from diskimage.runs import pack
from diskimage.words import size_text

MAGIC = b"shdw"
HEADER = Struct(
    "magic" / Const(MAGIC), "version" / Int32ub, "header" / Int32ub, "flags" / Int32ub,
    "one" / Int64ub, "two" / Int64ub, "uuid" / Bytes(16), "sectors" / Int64ub, "most" / Int64ub,
    "chunk" / Int32ub, "block" / Int16ub, "segments" / Int16ub, "metadata" / Int64ub,
)  # fmt: skip
NUMBER = (1 << 55) - 1  # the bits of an entry that are a chunk's number
RESERVED = 0x7F << 55
ZERO, FULL, UNMAPPED, PARTIAL = range(4)  # its state, bits 62 and 63
NEVER, VALID = 0, 1  # two bits of a bitmap: a block that was never written, one that is there
PAIRS = [bytes(value >> bit & 3 for bit in (0, 2, 4, 6)) for value in range(256)]


class Header(NamedTuple):
    """What the header says. Offsets and sizes in bytes."""

    directories: tuple[int, int]
    uuid: UUID
    size: int
    chunk: int
    block: int
    flags: int

    @property
    def per_group(self) -> int:
        """Chunks of a group; the entry of their bitmap follows theirs."""
        return 4 * self.block

    @property
    def group(self) -> int:
        """Bytes of a group's entries."""
        return 8 * (self.per_group + 1)

    @property
    def groups(self) -> int:
        """Groups of a table, which is a chunk."""
        return self.chunk // self.group

    @property
    def reach(self) -> int:
        """Guest bytes of a table."""
        return self.groups * self.per_group * self.chunk

    @property
    def tables(self) -> int:
        """Tables that the guest reaches."""
        return -(-self.size // self.reach)

    @property
    def bits(self) -> int:
        """Bytes of a bitmap that one chunk has: two bits a block."""
        return self.chunk // self.block // 4


def load(source: Source, limits: Limits) -> Header:
    """The header, held against the file. UnsupportedError, CorruptError, LimitError."""
    raw, name = struct(HEADER, source, 0, "ASIF header"), source.name
    if raw.version != 1:
        raise UnsupportedError(f"an ASIF of version {raw.version}", file=name, at=4)
    if raw.segments:
        raise UnsupportedError(f"an ASIF of {raw.segments} segments", file=name, at=70)
    if raw.block not in (512, 4096):
        raise CorruptError(f"blocks of {raw.block} bytes", file=name, at=68)
    if raw.chunk > limits.chunk:
        text = f"chunks of {raw.chunk} bytes, over chunk {limits.chunk}"
        raise LimitError(text, file=name, at=64)
    header = Header(
        (raw.one, raw.two), UUID(bytes=raw.uuid), raw.sectors * raw.block, raw.chunk, raw.block,
        raw.flags,
    )  # fmt: skip
    if raw.chunk % (4 * raw.block) or not header.groups:
        raise CorruptError(f"chunks of {raw.chunk} bytes", file=name, at=64)
    if header.size > limits.guest_size:
        raise LimitError(f"guest size {header.size} is over guest_size", file=name, at=48)
    if 8 * header.tables > limits.l1_table:
        text = f"a directory of {header.tables} tables, over l1_table {limits.l1_table} bytes"
        raise LimitError(text, file=name, at=48)
    return header


def directory(header: Header, source: Source) -> Sequence[int]:
    """The chunk number of each table, 0 for none: the directory of the higher version.

    One that cannot be read is TruncatedError: the other one may be older than the guest.
    """
    size = 8 * (header.tables + 1)
    found = [
        words(read(source, at, size, "a directory"), "Q", big_endian=True)
        for at in header.directories
        if at
    ]
    if not found:
        raise CorruptError("has no directory", file=source.name, at=16)
    return max(found, key=lambda one: one[0])[1:]


def probe(look: Look) -> Bid | None:
    """The magic, and a header of the size that all have."""
    told = look.head[:4] == MAGIC and int.from_bytes(look.head[8:12], "big") == 512
    return Bid(85, "the magic shdw and a header of 512 bytes") if told else None


class Chunks:
    """The guest of an ASIF: chunks where the tables say, blocks of them as the bitmap says."""

    def __init__(
        self, header: Header, tables: Sequence[int], source: Source, limits: Limits
    ) -> None:
        self.size, self.block = header.size, header.chunk
        self.info: dict[str, object] = {
            "variant": f"{size_text(header.chunk)} chunks, {header.block}-byte blocks",
            "sector_size": header.block,
            "chunk_size": header.chunk,
            "uuid": str(header.uuid),
        }
        self._header, self._tables, self._source = header, tables, source
        self._pages = Pages(source, limits.table_resident)

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop). Raises ContentError for what is in it."""
        return pack(self._extents(start, self.size if stop is None else min(stop, self.size)))

    def _extents(self, start: int, stop: int) -> Iterator[Extent]:
        reach, span = self._header.reach, self._header.per_group * self.block
        last = -(-stop // reach)
        while start < stop:
            number = start // reach
            if not self._tables[number]:
                while number < last and not self._tables[number]:
                    number += 1
                end = min(stop, number * reach)
                yield Extent(start, end - start, Kind.ZERO, hole=True)
            else:
                end = min(stop, (start // span + 1) * span)
                yield from self._group(start, end)
            start = end

    def _group(self, start: int, stop: int) -> Iterator[Extent]:
        """Guest bytes of one group."""
        header, chunk = self._header, self.block
        at = place(header, self._tables, start // chunk // header.per_group)
        entries = words(self._pages.read(at, header.group, "a table"), "Q", big_endian=True)
        while start < stop:
            number = start // chunk
            end = min(stop, (number + 1) * chunk)
            index = number % header.per_group
            state, stored = told(entries[index], self._source, at + 8 * index)
            if state in (ZERO, UNMAPPED):
                yield Extent(start, end - start, Kind.ZERO, hole=True)
            elif state == FULL:
                yield self._data(start, end, stored)
            else:
                _, bitmap = told(entries[-1], self._source, at + header.group - 8)
                yield from self._partial(start, end, stored, bitmap * chunk + index * header.bits)
            start = end

    def _data(self, start: int, stop: int, stored: int) -> Extent:
        at = stored * self.block + start % self.block
        demand(self._source, at, stop - start, f"guest byte {start}")
        return Extent(start, stop - start, Kind.DATA, source=self._source, at=at)

    def _partial(self, start: int, stop: int, stored: int, bitmap_at: int) -> Iterator[Extent]:
        """Guest bytes of a chunk of which some blocks were never written."""
        if bitmap_at < self.block:
            text = f"the chunk of guest byte {start} is there in part, and has no bitmap"
            raise CorruptError(text, file=self._source.name)
        block = self._header.block
        raw = self._pages.read(bitmap_at, self._header.bits, "a bitmap")
        pairs = b"".join([PAIRS[value] for value in raw])
        edge = start // self.block * self.block
        first, last = (start - edge) // block, -(-(stop - edge) // block)
        for state, some in groupby(pairs[first:last]):
            first += sum(1 for _ in some)
            end = min(stop, edge + first * block)
            if state == VALID:
                yield self._data(start, end, stored)
            elif state == NEVER:
                yield Extent(start, end - start, Kind.ZERO)
            else:
                text = f"the state {state} of the block at guest byte {start}"
                raise UnsupportedError(text, file=self._source.name, at=bitmap_at)
            start = end


def place(header: Header, tables: Sequence[int], group: int) -> int:
    """Where the entries of a group are."""
    table, index = divmod(group, header.groups)
    return tables[table] * header.chunk + index * header.group


def told(entry: int, source: Source, at: int) -> tuple[int, int]:
    """(state, chunk number) of an entry. CorruptError where no writer is known to make it."""
    state, number = entry >> 62, entry & NUMBER
    lone = bool(number) == (state in (FULL, PARTIAL)) or state == UNMAPPED
    if entry & RESERVED or not lone:
        raise CorruptError(f"an entry {entry:#018x}", file=source.name, at=at)
    return state, number


def open_asif(source: Source, gate: Gate) -> Device:
    """The disk. Raises UnsupportedError, CorruptError, LimitError, TruncatedError."""
    header = load(source, gate.limits)
    if header.flags:
        gate.warn("flags", f"has the flags {header.flags:#x}, which nobody explains", 12)
    return Chunks(header, directory(header, source), source, gate.limits)


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Each chunk of the file is one table, one bitmap or one guest chunk."""
    header = load(source, gate.limits)
    tables = directory(header, source)
    claims = Claims(source, header.chunk, header.chunk, gate.limits)
    chunks = -(-header.size // header.chunk)
    for number, table in enumerate(tables):
        if not table:
            continue
        wrong = list(claims.take(table * header.chunk, header.chunk, f"table {number}", 16))
        yield from wrong
        first = number * header.groups
        for group in range(first, first + header.groups if not wrong else first):
            left = chunks - group * header.per_group
            if left > 0:
                yield from _check_group(header, source, claims, (group, left), tables)


def _check_group(
    header: Header, source: Source, claims: Claims, which: tuple[int, int], tables: Sequence[int]
) -> Iterator[Finding]:
    group, left = which
    at = place(header, tables, group)
    entries = words(read(source, at, header.group, "a table"), "Q", big_endian=True)
    for index, entry in enumerate(entries):
        last = index == header.per_group
        if not entry or (not last and index >= left):
            continue
        try:
            state, number = told(entry, source, at + 8 * index)
        except CorruptError as error:
            yield Finding("corrupt", error.message, error.at)
            continue
        if state in (FULL, PARTIAL):
            chunk = group * header.per_group + index
            what = f"the bitmap of group {group}" if last else f"chunk {chunk}"
            length = header.chunk if last else min(header.chunk, header.size - chunk * header.chunk)
            yield from claims.take(number * header.chunk, length, what, at + 8 * index)


FORMAT = Format(
    name="asif",
    title="Apple sparse image format",
    suffixes=(".asif",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_asif,
    check=check,
    unproven=True,
)
