"""The layout of an ISZ file: header, segments, and the table of chunks.

Facts: the vendor's layout of version 1.00 and dumps of real files; docs/formats/isz.md draws it.
Little-endian; both tables lie under a mask of four bytes.
"""

from __future__ import annotations

import re
from array import array
from itertools import accumulate
from operator import mul
from sys import byteorder
from threading import Lock
from typing import NamedTuple

from construct import Bytes, Const, Int8ul, Int16ul, Int32ul, Int64ul, Padding, Struct

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.layers.chunks import PAGE, PLAIN, ZERO, Columns
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import demand, fields, read, struct

MAGIC = b"IsZ!"
MASK = bytes(0xFF ^ byte for byte in MAGIC)
SECTOR = 2048
ZLIB, BZIP2, STORED = 0, 1, 2  # codecs by their code in the columns; STORED under AES alone
CODE = bytes((ZERO, PLAIN, ZLIB, BZIP2)).ljust(256, b"\0")  # by a pointer's two highest bits
KIND = bytes(byte >> 6 for byte in range(256))
LENGTH = bytes(byte & 0x3F for byte in range(256))
HAS_BYTES = bytes(int(byte > 0) for byte in range(256))
KEYS = {2: 16, 3: 24, 4: 32}  # encryption: bytes of an AES key
SEGMENTS = 100  # numbers of segments go from 0 to 99
HEADER = Struct(
    "magic" / Const(MAGIC), "header_size" / Int8ul, "version" / Int8ul, "serial" / Int32ul,
    "sector" / Int16ul, "sectors" / Int32ul, "encryption" / Int8ul, "segment_size" / Int64ul,
    "chunks" / Int32ul, "chunk" / Int32ul, "pointer" / Int8ul, "segment" / Int8ul,
    "table_at" / Int32ul, "segments_at" / Int32ul, "data_at" / Int32ul, Padding(1),
)  # fmt: skip
SUMS = Struct("image" / Int32ul, "size" / Int32ul, "reserved" / Bytes(4), "stored" / Int32ul)
SEGMENT = Struct(
    "size" / Int64ul, "chunks" / Int32ul, "first" / Int32ul, "at" / Int32ul, "left" / Int32ul
)


class Header(NamedTuple):
    """What the header of one file says. `image` and `stored` are CRC-32s, None without them."""

    serial: int
    size: int
    encryption: int
    chunks: int
    chunk: int
    pointer: int
    segment: int
    table_at: int
    segments_at: int
    data_at: int
    header_size: int
    image: int | None
    stored: int | None

    @property
    def most(self) -> int:
        """Stored bytes that a chunk can have: bzip2 makes noise one part in a hundred longer."""
        return self.chunk + self.chunk // 50 + 1024


class Segment(NamedTuple):
    """A file of the set: its bytes, the chunks that begin in it, the number of the first, where it
    is in the file, and how many bytes of the last one the next file has."""

    size: int
    chunks: int
    first: int
    at: int
    left: int


def load(source: Source, limits: Limits) -> Header:
    """The header of `source`, held against the file and `limits`.

    Raises UnsupportedError, CorruptError, LimitError, TruncatedError.
    """
    raw = struct(HEADER, source, 0, "ISZ header")
    name = source.name
    if raw.version != 1 or raw.header_size < HEADER.sizeof():
        text = f"ISZ version {raw.version} with a header of {raw.header_size} bytes"
        raise UnsupportedError(text, file=name, at=4)
    if raw.sector == 0:
        raise CorruptError("sectors of 0 bytes", file=name, at=10)
    if raw.sector != SECTOR:
        raise UnsupportedError(f"sectors of {raw.sector} bytes", file=name, at=10)
    if raw.encryption and raw.encryption not in KEYS:
        raise UnsupportedError(f"encryption of kind {raw.encryption}", file=name, at=16)
    image = stored = None
    if raw.header_size >= HEADER.sizeof() + SUMS.sizeof():
        sums = struct(SUMS, source, HEADER.sizeof(), "ISZ header")
        image, stored = ~sums.image & 0xFFFFFFFF, ~sums.stored & 0xFFFFFFFF
    header = Header(
        raw.serial, raw.sectors * raw.sector, raw.encryption, raw.chunks, raw.chunk, raw.pointer,
        raw.segment, raw.table_at, raw.segments_at, raw.data_at, raw.header_size, image, stored,
    )  # fmt: skip
    _judge(header, source, limits)
    return header


def identity(source: Source) -> tuple[int, int]:
    """The serial of the set and the number in it that a segment's header says."""
    raw = struct(HEADER, source, 0, "ISZ header of a segment")
    return raw.serial, raw.segment


def _judge(header: Header, source: Source, limits: Limits) -> None:
    name = source.name
    if header.chunk == 0:
        raise CorruptError("chunks of 0 bytes", file=name, at=29)
    if header.chunk > limits.chunk:
        text = f"chunks of {header.chunk} bytes, over chunk {limits.chunk}"
        raise LimitError(text, file=name, at=29)
    if not header.table_at:
        return  # the chunks lie as they are, one behind the other: nothing counts them
    if header.chunks != -(-header.size // header.chunk):
        text = f"{header.chunks} chunks of {header.chunk} bytes for {header.size} bytes"
        raise CorruptError(text, file=name, at=25)
    if not 1 <= header.pointer <= 8:
        raise CorruptError(f"pointers of {header.pointer} bytes", file=name, at=33)
    demand(source, header.table_at, header.chunks * header.pointer, "the table of chunks")


def unmasked(table: bytes | bytearray, skip: int = 0) -> bytes:
    """A table as it is meant; `skip` bytes of it come before. The mask undoes itself."""
    turned = MASK[skip % 4 :] + MASK[: skip % 4]
    mask = (turned * (len(table) // 4 + 1))[: len(table)]
    both = int.from_bytes(table, "little") ^ int.from_bytes(mask, "little")
    return both.to_bytes(len(table), "little")


class Chunks:
    """The table of chunks by page: a chunk's place is the sum of the lengths before it.

    `first` is the place of the first one.
    """

    def __init__(self, source: Source, header: Header, first: int) -> None:
        self._source, self._header = source, header
        self._begins = [first]  # of the pages whose place is known
        self._lock = Lock()

    @property
    def end(self) -> int:
        """Where the last chunk ends."""
        last = (max(1, -(-self._header.size // self._header.chunk)) - 1) // PAGE
        columns = self.page(last)
        return columns.at[-1] + columns.stored[-1] if columns.at else self._begins[0]

    def page(self, number: int) -> Columns:
        """The columns of a page; the pages before it are summed once."""
        if not self._header.table_at:
            return self._plain(number)
        with self._lock:
            while len(self._begins) <= number:
                begin, (lengths, _) = self._begins[-1], self._pointers(len(self._begins) - 1)
                self._begins.append(begin + sum(lengths))
            lengths, code = self._pointers(number)
            if self._header.encryption:
                code = code.replace(bytes([PLAIN]), bytes([STORED]))
            at = array("q", accumulate(lengths, initial=self._begins[number]))
            at.pop()
            return Columns(at, lengths, code)

    def _plain(self, number: int) -> Columns:
        """Without a table everything is stored, one chunk behind the other."""
        chunk, first = self._header.chunk, number * PAGE
        count = min(PAGE, -(-self._header.size // chunk) - first)
        begin = self._begins[0] + first * chunk
        stored = array("q", [chunk]) * count
        if (first + count) * chunk > self._header.size:
            stored[-1] = self._header.size % chunk
        code = STORED if self._header.encryption else PLAIN
        at = array("q", range(begin, begin + count * chunk, chunk))
        return Columns(at, stored, bytes([code]) * count)

    def _pointers(self, number: int) -> tuple[array[int], bytes]:
        """The stored lengths of a page's chunks, and their codes.

        A pointer is an integer of one to eight bytes; its two highest bits are the kind. A chunk of
        zeros has no bytes, whatever its length says.
        """
        header, first = self._header, number * PAGE
        width, count = header.pointer, min(PAGE, header.chunks - first)
        skip = first * width
        raw = unmasked(
            read(self._source, header.table_at + skip, count * width, "the table of chunks"), skip
        )
        words = bytearray(8 * count)
        for byte in range(width):
            words[byte::8] = raw[byte::width]
        kinds = raw[width - 1 :: width].translate(KIND)
        words[width - 1 :: 8] = raw[width - 1 :: width].translate(LENGTH)
        lengths = array("q", bytes(words))
        if byteorder == "big":
            lengths.byteswap()
        return array("q", map(mul, lengths, kinds.translate(HAS_BYTES))), kinds.translate(CODE)


def segments(source: Source, header: Header) -> list[Segment]:
    """The rows of the table of segments; none where there is one file. CorruptError."""
    if not header.segments_at:
        return []
    rows: list[Segment] = []
    wide = SEGMENT.sizeof()
    while True:
        at = header.segments_at + wide * len(rows)
        raw = unmasked(read(source, at, wide, "the table of segments"), at - header.segments_at)
        told = fields(SEGMENT, raw, source, at, "the table of segments")
        row = Segment(told.size, told.chunks, told.first, told.at, told.left)
        if row.size == 0:
            break
        _fits(row, rows, header, source, at)
        rows.append(row)
    if rows and header.table_at and rows[-1].first + rows[-1].chunks != header.chunks:
        text = f"the segments have {rows[-1].first + rows[-1].chunks} of {header.chunks} chunks"
        raise CorruptError(text, file=source.name, at=header.segments_at)
    return rows


def _fits(row: Segment, rows: list[Segment], header: Header, source: Source, at: int) -> None:
    """A segment goes on where the one before it ends."""
    first = rows[-1].first + rows[-1].chunks if rows else 0
    left = rows[-1].left if rows else 0
    if len(rows) >= SEGMENTS:
        raise CorruptError(f"more than {SEGMENTS} segments", file=source.name, at=at)
    if row.first != first or not header.header_size <= row.at - left <= row.size:
        text = f"segment {len(rows)}: {row.chunks} chunks from {row.first}, at {row.at} of"
        raise CorruptError(f"{text} {row.size} bytes", file=source.name, at=at)


def segment_name(name: str, number: int) -> str:
    """What segment `number` of the set that begins with `name` is called.

    x.isz, x.i01, x.i02; x.part01.isz, x.part02.isz; x.part001.isz and so on.
    """
    numbered = re.fullmatch(r"(.*\.part)(\d{2,3})(\.[^.]*)", name, re.IGNORECASE | re.DOTALL)
    if numbered is not None:
        stem, digits, suffix = numbered.groups()
        return f"{stem}{number + 1:0{len(digits)}d}{suffix}"
    stem, dot, suffix = name.rpartition(".")
    if not number:
        return name
    letter = "I" if suffix.isupper() else "i"
    return f"{stem if dot else suffix}.{letter}{number:02d}"
