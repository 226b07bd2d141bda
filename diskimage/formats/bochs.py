"""Bochs growing images: redologs whose extents stand behind bitmaps of their sectors.

Facts: Bochs iodev/hdimage/hdimage.h, QEMU block/bochs.c. Little-endian. docs/formats/bochs.md draws
it. Not supported: undoable and volatile redologs, whose base no field names.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from construct import Bytes, Const, Int32ul, Int64ul, Padding, Struct

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.layers.bits import stretches
from diskimage.layers.claims import Claims
from diskimage.layers.table import Flat, Pages, words
from diskimage.limits import Limits
from diskimage.model import Bid, Device, Extent, Finding, Format, Gate, Kind, Look, Runs, Source
from diskimage.parse import demand, struct
from diskimage.runs import pack
from diskimage.words import rounded, size_text

MAGIC, TYPE, SUBTYPE = b"Bochs Virtual HD Image", b"Redolog", b"Growing"
V1, V2 = 0x00010000, 0x00020000
FREE = 0xFFFFFFFF
SECTOR = 512

HEADER = Struct(
    "magic" / Const(MAGIC.ljust(32, b"\0")), "type" / Bytes(16), "subtype" / Bytes(16),
    "version" / Int32ul, "header" / Int32ul,
)  # fmt: skip
REST_1 = Struct("catalog" / Int32ul, "bitmap" / Int32ul, "extent" / Int32ul, "size" / Int64ul)
REST_2 = Struct(
    "catalog" / Int32ul, "bitmap" / Int32ul, "extent" / Int32ul, Padding(4), "size" / Int64ul
)


class Header(NamedTuple):
    """What the header says. Offsets and sizes in bytes."""

    version: int
    catalog_at: int
    entries: int
    bitmap: int  # bytes that a bitmap takes, whole sectors
    extent: int
    size: int

    @property
    def used(self) -> int:
        """Entries that the guest reaches."""
        return -(-self.size // self.extent)

    @property
    def data_at(self) -> int:
        """Where extents begin."""
        return self.catalog_at + 4 * self.entries

    @property
    def pitch(self) -> int:
        """Stored bytes of an extent with its bitmap."""
        return self.bitmap + rounded(self.extent, SECTOR)


def load(source: Source, limits: Limits) -> Header:
    """The header, held against the file. UnsupportedError, CorruptError, LimitError."""
    raw, name = struct(HEADER, source, 0, "Bochs header"), source.name
    kind = raw.type.rstrip(b"\0"), raw.subtype.rstrip(b"\0")
    if kind != (TYPE, SUBTYPE):
        text = " ".join(part.decode("latin-1") for part in kind)
        raise UnsupportedError(f"a Bochs image of type {text!r}", file=name, at=32)
    if raw.version not in (V1, V2):
        raise UnsupportedError(f"a Bochs image of version {raw.version:#x}", file=name, at=64)
    rest = struct(REST_1 if raw.version == V1 else REST_2, source, HEADER.sizeof(), "Bochs header")
    header = Header(
        raw.version >> 16, raw.header, rest.catalog, rounded(rest.bitmap, SECTOR), rest.extent,
        rest.size,
    )  # fmt: skip
    if not rest.extent or rest.extent % SECTOR:
        raise CorruptError(f"extents of {rest.extent} bytes", file=name, at=80)
    if max(rest.extent, rest.bitmap) > limits.chunk:
        text = f"extents of {rest.extent} and bitmaps of {rest.bitmap} bytes, over chunk"
        raise LimitError(text, file=name, at=76)
    if 8 * rest.bitmap < rest.extent // SECTOR:
        text = f"bitmaps of {rest.bitmap} bytes for {rest.extent // SECTOR} sectors"
        raise CorruptError(text, file=name, at=76)
    if rest.size > limits.guest_size:
        raise LimitError(f"guest size {rest.size} is over guest_size", file=name)
    if header.entries < header.used:
        text = f"{header.entries} entries for {header.size} bytes, which need {header.used}"
        raise CorruptError(text, file=name, at=72)
    if raw.header < HEADER.sizeof() + REST_1.sizeof():
        raise CorruptError(f"a header of {raw.header} bytes", file=name, at=68)
    demand(source, header.catalog_at, 4 * header.entries, "the catalog")
    return header


def probe(look: Look) -> Bid | None:
    """The magic at 0."""
    return Bid(95, "a Bochs header at 0") if look.head.startswith(MAGIC + b"\0") else None


class Redolog:
    """Sectors whose bit is set, where the catalog puts their extent; others are zeros."""

    def __init__(self, header: Header, source: Source, limits: Limits) -> None:
        self.size, self.block = header.size, header.extent
        self.info: dict[str, object] = {
            "variant": f"growing, version {header.version}, {size_text(header.extent)} extents",
            "version": header.version,
            "extent_size": header.extent,
            "extents": header.entries,
        }
        self._header, self._source = header, source
        self._pages = Pages(source, limits.table_resident)
        self._catalog = Flat(self._pages, header.catalog_at, header.entries, 4, "catalog")

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop). Raises TruncatedError."""
        return pack(self._extents(start, self.size if stop is None else min(stop, self.size)))

    def _extents(self, start: int, stop: int) -> Iterator[Extent]:
        block = self.block
        if start >= stop:
            return
        for piece in self._catalog.pieces(start // block, -(-stop // block)):
            assert piece.entries is not None
            number = piece.first
            for entry, same in groupby(words(bytes(piece.entries), "I")):
                numbers = range(number, number + sum(1 for _ in same))
                number = numbers.stop
                if entry == FREE:
                    first, last = max(start, numbers.start * block), min(stop, number * block)
                    yield Extent(first, last - first, Kind.ZERO, hole=True)
                    continue
                for one in numbers:
                    first, last = max(start, one * block), min(stop, (one + 1) * block)
                    yield from self._stored(one, entry, first, last)

    def _stored(self, number: int, entry: int, first: int, last: int) -> Iterator[Extent]:
        """Guest bytes [first, last) of extent `number`, which is the `entry`-th that is stored."""
        header, edge = self._header, number * self.block
        bitmap_at = header.data_at + entry * header.pitch
        bitmap = self._pages.read(bitmap_at, header.bitmap, "bitmap of an extent")
        sectors = (first - edge) // SECTOR, -(-(last - edge) // SECTOR)
        for bit, stop, there in stretches(bitmap, *sectors, high_first=False):
            begin, end = max(first, edge + bit * SECTOR), min(last, edge + stop * SECTOR)
            if not there:
                yield Extent(begin, end - begin, Kind.ZERO)
                continue
            at = bitmap_at + header.bitmap + begin - edge
            demand(self._source, at, end - begin, f"guest byte {begin}")
            yield Extent(begin, end - begin, Kind.DATA, source=self._source, at=at)


def open_bochs(source: Source, gate: Gate) -> Device:
    """The disk."""
    return Redolog(load(source, gate.limits), source, gate.limits)


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Each extent of the file belongs to one entry at most, and its sectors lie in the file."""
    header = load(source, gate.limits)
    claims = Claims(source, header.data_at, header.pitch, gate.limits)
    pages = Pages(source, gate.limits.table_resident)
    catalog = Flat(pages, header.catalog_at, header.entries, 4, "catalog")
    for piece in catalog.pieces(0, header.used):
        assert piece.entries is not None
        for number, entry in enumerate(words(bytes(piece.entries), "I"), piece.first):
            if entry != FREE:
                at = header.data_at + entry * header.pitch
                length = header.bitmap + min(header.extent, header.size - number * header.extent)
                where = header.catalog_at + 4 * number
                yield from claims.take(at, length, f"extent {number}", where)


FORMAT = Format(
    name="bochs",
    title="Bochs growing disk",
    suffixes=(".bochs",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_bochs,
    check=check,
)
