"""The layout of a UDIF: the trailer `koly`, and `mish`, the table of a partition's chunks.

Facts: 7-Zip's and libmodi's descriptions and real files; docs/formats/dmg.md draws it. Big-endian.
"""

from __future__ import annotations

from array import array
from sys import byteorder
from typing import NamedTuple

from construct import Bytes, Const, Int32ub, Int64ub, Padding, Struct

from diskimage.errors import CorruptError, UnsupportedError
from diskimage.model import Source
from diskimage.parse import demand, fields, struct

SECTOR = 512
MAGIC = b"koly\0\0\0\4\0\0\2\0"
TRAILER = 512
ENTRY = 40
CRC32 = 2  # type of a checksum: CRC-32 (ISO 3309), 32 bits
SUM = Struct("type" / Int32ub, "bits" / Int32ub, "value" / Bytes(128))
KOLY = Struct(
    "magic" / Const(MAGIC), "flags" / Int32ub, "running" / Int64ub,
    "data_at" / Int64ub, "data_size" / Int64ub, "fork_at" / Int64ub, "fork_size" / Int64ub,
    "segment" / Int32ub, "segments" / Int32ub, "set" / Bytes(16), "data_sum" / SUM,
    "plist_at" / Int64ub, "plist_size" / Int64ub, Padding(64),
    "signature_at" / Int64ub, "signature_size" / Int64ub, Padding(40),
    "master" / SUM, "variant" / Int32ub, "sectors" / Int64ub, Padding(12),
)  # fmt: skip
MISH = Struct(
    "magic" / Const(b"mish\0\0\0\1"), "first" / Int64ub, "sectors" / Int64ub, "data" / Int64ub,
    "buffers" / Int32ub, "descriptor" / Int32ub, Padding(24), "sum" / SUM, "count" / Int32ub,
)  # fmt: skip

ZERO, RAW, IGNORE, GAP, ADC, ZLIB, BZIP2, LZFSE, LZMA = range(9)
"""Kinds of chunks: the low four bits of an entry's type, and what no entry covers."""
TYPES = {ZERO: 0, RAW: 1, IGNORE: 2, **{kind: 0x80000000 + kind for kind in range(ADC, LZMA + 1)}}
KINDS = {type_: kind for kind, type_ in TYPES.items()}
COMMENT, END = 0x7FFFFFFE, 0xFFFFFFFF


class Sum(NamedTuple):
    """A stored checksum: None where there is none, or one of a kind that is not known."""

    crc: int | None
    type: int

    @property
    def told(self) -> str:
        """What `info` shows."""
        return f"crc32 {self.crc:08x}" if self.crc is not None else f"type {self.type}"


class Koly(NamedTuple):
    """A trailer and where it stands. Places and sizes are bytes of the file."""

    at: int
    running: int
    data_at: int
    data_size: int
    fork_at: int
    fork_size: int
    plist_at: int
    plist_size: int
    segment: int
    segments: int
    set: bytes
    data_sum: Sum
    master: Sum
    variant: int
    sectors: int


class Entries(NamedTuple):
    """Chunks in columns, in the order of their table: guest bytes, host bytes, kinds."""

    start: array[int]
    length: array[int]
    at: array[int]
    stored: array[int]
    kind: bytearray


class Table(NamedTuple):
    """A partition: its guest bytes, its checksum, its chunks; `at` is where it is told."""

    name: str
    at: int
    start: int
    length: int
    sum: Sum
    raw_sum: bytes
    entries: Entries


def find(head: bytes, tail: bytes, size: int) -> int | None:
    """Where a file of `size` bytes has its trailer, told from its first and last bytes.

    It is the last 512 bytes, the last ones before some that were appended, or the first 512. Not
    every one that is found is the file's: a plain disk may hold an image near its end.
    """
    if tail[-TRAILER:].startswith(MAGIC):
        return size - TRAILER
    found = tail.rfind(MAGIC)
    at = size - len(tail) + found
    if found >= 0 and _ends_at(tail[found : found + TRAILER], at):
        return at
    return 0 if head.startswith(MAGIC) else None


def _ends_at(trailer: bytes, at: int) -> bool:
    """Whether something that a trailer places ends where the trailer begins."""
    places = (24, 40, 216, 296)  # data fork, resource fork, property list, code signature
    words = [int.from_bytes(trailer[i : i + 8], "big") for p in places for i in (p, p + 8)]
    return len(trailer) == TRAILER and at in map(sum, zip(words[::2], words[1::2], strict=True))


def koly(source: Source, at: int) -> Koly:
    """The trailer at `at`, its places held against the file. CorruptError, TruncatedError."""
    raw = struct(KOLY, source, at, "UDIF trailer")
    for what, begin, size in (
        ("the data fork", raw.data_at, raw.data_size),
        ("the property list", raw.plist_at, raw.plist_size),
        ("the resource fork", raw.fork_at, raw.fork_size),
    ):
        if size:
            demand(source, begin, size, what)
    return Koly(
        at, raw.running, raw.data_at, raw.data_size, raw.fork_at, raw.fork_size, raw.plist_at,
        raw.plist_size, raw.segment, raw.segments, raw.set, _sum(raw.data_sum), _sum(raw.master),
        raw.variant, raw.sectors,
    )  # fmt: skip


def _sum(raw: object) -> Sum:
    kind, bits, value = raw.type, raw.bits, raw.value  # type: ignore[attr-defined]  # construct
    known = kind == CRC32 and bits == 32
    return Sum(int.from_bytes(value[:4], "big") if known else None, kind)


def table(name: str, data: bytes, source: Source, at: int, base: int, limit: int) -> Table:
    """A `mish` of `data`, which stands at `at` of `source`; its chunks count from host byte `base`.

    Raises CorruptError, UnsupportedError; `limit` is the largest guest.
    """
    size: int = MISH.sizeof()
    raw = fields(MISH, data[:size], source, at, f"the table of {name!r}")
    if raw.count > (len(data) - size) // ENTRY:
        text = f"{raw.count} chunks in a table of {len(data)} bytes"
        raise CorruptError(f"{name!r}: {text}", file=source.name, at=at)
    if raw.first > limit // SECTOR or raw.sectors > limit // SECTOR - raw.first:
        text = f"sectors {raw.first} to {raw.first + raw.sectors} are more than a disk can have"
        raise CorruptError(f"{name!r}: {text}", file=source.name, at=at)
    rows = array("Q")
    rows.frombytes(memoryview(data)[size : size + raw.count * ENTRY])
    if byteorder == "little":
        rows.byteswap()
    sums, value = _sum(raw.sum), raw.sum.value[: min(128, raw.sum.bits // 8)]
    entries = _entries(name, rows, raw.first, raw.sectors, base + raw.data, source)
    return Table(name, at, raw.first * SECTOR, raw.sectors * SECTOR, sums, value, entries)


def _entries(
    name: str, rows: array[int], first: int, sectors: int, base: int, source: Source
) -> Entries:
    """The chunks before the end of the table; comments and empty ones left out."""
    out = Entries(array("q"), array("q"), array("q"), array("q"), bytearray())
    columns = zip(rows[0::5], rows[1::5], rows[2::5], rows[3::5], rows[4::5], strict=True)
    for number, (head, sector, count, at, stored) in enumerate(columns):
        type_ = head >> 32
        if type_ == END:
            break
        if type_ == COMMENT or count == 0:
            continue
        kind = KINDS.get(type_)
        if kind is None:
            text = f"chunk {number} of {name!r} is of type 0x{type_:08X}, which is not known"
            raise UnsupportedError(text, file=source.name)
        if sector > sectors or count > sectors - sector:
            text = f"chunk {number} of {name!r} has sectors {sector} to {sector + count}"
            raise CorruptError(f"{text} of {sectors}", file=source.name)
        bare = kind in (ZERO, IGNORE)
        if not bare and max(at, stored, base) > _MOST:
            text = f"chunk {number} of {name!r} is stored at {base + at}, {stored} bytes"
            raise CorruptError(text, file=source.name)
        out.start.append((first + sector) * SECTOR)
        out.length.append(count * SECTOR)
        out.at.append(0 if bare else base + at)
        out.stored.append(0 if bare else stored)
        out.kind.append(kind)
    return out


_MOST = 1 << 61  # of a place or a length in a file: sums of two of them stay in 63 bits
