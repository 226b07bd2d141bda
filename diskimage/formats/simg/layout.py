"""A sparse image's header and chunks, read and judged: docs/formats/simg.md draws them.

Facts: AOSP libsparse, sparse_format.h and sparse_read.cpp.
"""

from __future__ import annotations

import struct as packing
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from construct import Const, Int16ul, Int32ul, Struct

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.limits import MIB, Limits
from diskimage.model import HOLE, Faults, Kind, Source
from diskimage.parse import demand, read, struct

MAGIC = 0xED26FF3A
MAGIC_BYTES = MAGIC.to_bytes(4, "little")
HEADER = Struct(
    "magic" / Const(MAGIC, Int32ul), "major" / Int16ul, "minor" / Int16ul, "size" / Int16ul,
    "head" / Int16ul, "block" / Int32ul, "blocks" / Int32ul, "chunks" / Int32ul, "crc" / Int32ul,
)  # fmt: skip
HEAD = packing.Struct("<HxxII")  # of a chunk: type, blocks, bytes with the head
RAW, FILL, SKIP, CRC = 0xCAC1, 0xCAC2, 0xCAC3, 0xCAC4
PATTERN = 4  # bytes of a fill's value, and of a sum
_STORED = {FILL: PATTERN, SKIP: 0, CRC: PATTERN}
PREFIX = MIB  # where a header is looked for that others stand before
WINDOW = 1 << 16
FILLED = 0x10  # the kind code of rows that are a pattern
ROW = 17  # bytes of memory of a row


class Header(NamedTuple):
    """What the header says; it stands at `base`. Sizes in bytes, `crc` 0 where there is none."""

    base: int
    minor: int
    length: int
    head: int
    block: int
    blocks: int
    chunks: int
    crc: int

    @property
    def size(self) -> int:
        """Bytes of the guest."""
        return self.blocks * self.block


class Chunk(NamedTuple):
    """A chunk: guest bytes from `start`, and the place of what it stores; `value` of FILL, CRC."""

    number: int
    kind: int
    start: int
    length: int
    at: int
    value: int = 0


def load(source: Source, limits: Limits) -> Header:
    """The header, held against the file. CorruptError, UnsupportedError, TruncatedError."""
    name, base = source.name, find(source)
    raw = struct(HEADER, source, base, "sparse header")
    if raw.major != 1:
        text = f"an Android sparse image of version {raw.major}.{raw.minor}"
        raise UnsupportedError(text, file=name, at=base + 4)
    if raw.size < HEADER.sizeof() or raw.head < HEAD.size:
        text = f"a header of {raw.size} bytes and chunk heads of {raw.head}"
        raise CorruptError(text, file=name, at=base + 8)
    if not raw.block or raw.block % PATTERN:
        raise CorruptError(f"blocks of {raw.block} bytes", file=name, at=base + 12)
    made = Header(base, raw.minor, raw.size, raw.head, raw.block, raw.blocks, raw.chunks, raw.crc)
    if made.size > limits.guest_size:
        raise LimitError(f"guest size {made.size} is over guest_size", file=name, at=base + 16)
    return made


def find(source: Source) -> int:
    """Where the header is: at 0, or behind what a vendor put before it; 0 where there is none."""
    if bytes(read(source, 0, min(PATTERN, source.size), "the magic")) == MAGIC_BYTES:
        return 0
    head = read(source, 0, min(PREFIX, source.size), "the beginning")
    return max(0, head.find(MAGIC_BYTES + b"\1\0"))


def walk(source: Source, header: Header) -> Iterator[Chunk]:
    """The chunks in order. CorruptError where they contradict the header, TruncatedError behind a
    chunk that is cut."""
    window, name = _Window(source), source.name
    at, start = header.base + header.length, 0
    for number in range(header.chunks):
        kind, blocks, total = HEAD.unpack_from(window.read(at, header.head, number))
        length, inside = blocks * header.block, at + header.head
        wanted = stored(kind, length)
        if wanted is None:
            raise CorruptError(f"chunk {number} has the type {kind:#06x}", file=name, at=at)
        if total != header.head + wanted:
            text = f"chunk {number} ({kind:#06x}) of {blocks} blocks takes {total} bytes"
            raise CorruptError(f"{text}, not {header.head + wanted}", file=name, at=at)
        if kind == CRC:
            length = 0
        if start + length > header.size:
            text = f"chunk {number} ends after the {header.blocks} blocks that there are"
            raise CorruptError(text, file=name, at=at)
        value = 0
        if kind != RAW and wanted:
            value = int.from_bytes(window.read(inside, PATTERN, number), "little")
        yield Chunk(number, kind, start, length, inside, value)
        if kind == RAW:
            demand(source, inside, length, f"chunk {number} (guest byte {start})")
        start, at = start + length, at + total
    if start != header.size:
        text = f"its chunks have {start // header.block} blocks, its header says {header.blocks}"
        raise CorruptError(text, file=name, at=header.base + 16)


def stored(kind: int, length: int) -> int | None:
    """The bytes that follow the head of a chunk of `length` guest bytes; None for no known type."""
    return length if kind == RAW else _STORED.get(kind)


class _Window:
    """Bytes of a source, read ahead: the heads of small chunks come many at a time."""

    def __init__(self, source: Source) -> None:
        self._source, self._at, self._bytes = source, 0, bytearray()

    def read(self, at: int, length: int, number: int) -> memoryview:
        """`length` bytes from `at`, of chunk `number`. TruncatedError."""
        if not self._at <= at <= at + length <= self._at + len(self._bytes):
            what = f"chunk {number}"
            demand(self._source, at, length, what)
            ahead = min(max(WINDOW, length), self._source.size - at)
            self._at, self._bytes = at, read(self._source, at, ahead, what)
        skip = at - self._at
        return memoryview(self._bytes)[skip : skip + length]


class Rows:
    """The chunks as columns: neighbours that are alike are one row.

    `start` has one entry more than there are rows: where the last one ends. `at` is a place in the
    file where `kind` is DATA, the value where it is FILLED. What no chunk cares for is a HOLE. The
    last chunk ends at byte `end` of the file; `sums` of them are checksums. From guest byte `cut`
    on nothing can be told, where `faults` are survived: that is a HOLE too.
    """

    def __init__(self, source: Source, header: Header, limits: Limits, faults: Faults) -> None:
        self.start, self.at, self.kind = array("q"), array("q"), bytearray()
        self.end, self.sums = header.base + header.length, 0
        self.cut, most, chunk = 0, limits.metadata // ROW, None
        with faults.surviving():
            for chunk in walk(source, header):
                self.sums += chunk.kind == CRC
                if chunk.length:
                    self._add(chunk)
                self.cut = chunk.start + chunk.length
                if len(self.kind) > most:
                    text = f"more than {most} chunks that differ (limit metadata)"
                    raise LimitError(text, file=source.name)
            self.cut = header.size
        if chunk is not None:
            self.end = chunk.at + (stored(chunk.kind, chunk.length) or 0)
            if chunk.kind == RAW and self.end > source.size:
                self._end_at(chunk.start + source.size - chunk.at)
        if self.cut < header.size:
            self._end_at(self.cut)
            self.start.append(self.cut)
            self.at.append(0)
            self.kind.append(HOLE)
        self.start.append(header.size)

    def _end_at(self, cut: int) -> None:
        """Let the last row end at `cut`."""
        self.cut = cut
        if self.start and self.start[-1] == cut:
            self.start.pop(), self.at.pop(), self.kind.pop()

    def _add(self, chunk: Chunk) -> None:
        kind, at = FILLED, chunk.value
        if chunk.kind == RAW:
            kind, at = Kind.DATA, chunk.at
        elif chunk.kind == SKIP:
            kind = HOLE
        elif not at:
            kind = Kind.ZERO
        if kind != Kind.DATA and self.kind and (self.kind[-1], self.at[-1]) == (kind, at):
            return
        self.start.append(chunk.start)
        self.at.append(at)
        self.kind.append(kind)

    def row(self, at: int) -> int:
        """The row of guest byte `at`."""
        return bisect_right(self.start, at) - 1

    def reach(self) -> tuple[int, int]:
        """The first guest byte that a chunk holds, and the one after the last: (0, 0) for none."""
        rest = self.kind.rstrip(bytes([HOLE]))
        first = len(rest) - len(rest.lstrip(bytes([HOLE])))
        return (self.start[first], self.start[len(rest)]) if rest else (0, 0)
