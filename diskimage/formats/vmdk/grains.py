"""Extents of a VMDK as devices: what directories, tables and grain markers say."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from diskimage import codecs
from diskimage.errors import CorruptError, TruncatedError
from diskimage.formats.vmdk import layout
from diskimage.formats.vmdk.layout import SECTOR, Cow, Se, Sparse
from diskimage.kernels.copying import read_runs
from diskimage.layers.gather import filler, gathered
from diskimage.layers.table import Entries, Flat, Match, Nested, Pages, Piece, Rule, TableDevice
from diskimage.limits import RUNS_ROWS
from diskimage.model import HOLE, Codec, Kind, Runs, Source
from diskimage.parse import read
from diskimage.runs import clip

ENTRY = 0xFFFFFFFF
ZEROED = 1  # an entry, where the header allows it
SLACK = 64 << 10  # stored bytes of a grain over twice its size that a bad coder may need


def sparse_tables(header: Sparse, pages: Pages, *, redundant: bool = False) -> Nested:
    """The tables of a hosted sparse extent, by its directory or by the copy of that."""
    at = header.redundant_at if redundant else header.directory_at
    return Nested(
        directory=Flat(pages, at, header.tables, 4, "grain directory"),
        per_table=header.per_table,
        width=4,
        mask=ENTRY,
        scale=SECTOR,
        what="grain table",
    )


def sparse(
    header: Sparse, source: Source, room: int, empty: int, info: Mapping[str, object]
) -> TableDevice | Grains:
    """A hosted sparse extent; grains without a place are `empty` (a kind code). `room` bytes of
    its tables are kept."""
    tables = sparse_tables(
        header, Pages(source, room), redundant=layout.lost_directory(header, source)
    )
    if header.compressed:
        return Grains(header, source, tables, empty, info)
    zero = (Match(ENTRY, ZEROED, HOLE),) if header.flags & layout.ZERO_GRAINS else ()
    return TableDevice(
        size=header.size,
        block=header.grain,
        data=source,
        entries=tables,
        rule=Rule(width=4, matches=(Match(ENTRY, 0, empty), *zero), mask=ENTRY, scale=SECTOR),
        empty=empty,
        info=info,
    )


def cow(
    header: Cow, source: Source, room: int, empty: int, info: Mapping[str, object]
) -> TableDevice:
    """A COWD extent."""
    tables = Nested(
        directory=Flat(Pages(source, room), header.directory_at, header.tables, 4,
                       "grain directory"),
        per_table=layout.COW_PER_TABLE, width=4, mask=ENTRY, scale=SECTOR, what="grain table",
    )  # fmt: skip
    rule = Rule(width=4, matches=(Match(ENTRY, 0, empty),), mask=ENTRY, scale=SECTOR)
    return TableDevice(size=header.size, block=header.grain, data=source, entries=tables,
                       rule=rule, empty=empty, info=info)  # fmt: skip


def se_sparse(
    header: Se, source: Source, room: int, empty: int, info: Mapping[str, object]
) -> TableDevice:
    """A seSparse extent. An unmapped grain reads as zeros, as QEMU has it."""
    tables = Nested(
        directory=Flat(Pages(source, room), header.directory_at, header.tables, 8,
                       "grain directory"),
        per_table=header.table // 8, width=8, mask=ENTRY, scale=header.table,
        reserved=0xEFFFFFFF << 32, what="grain table", base=header.tables_at, tag=1 << 60,
    )  # fmt: skip
    kinds = ((0, empty), (1, HOLE), (2, HOLE))
    return TableDevice(
        size=header.size,
        block=header.grain,
        data=source,
        entries=Straight(tables),
        rule=Rule(
            width=8,
            matches=tuple(Match(0xF << 60, nibble << 60, kind) for nibble, kind in kinds),
            mask=(1 << 60) - 1,
            scale=header.grain,
            base=header.grains_at,
            reserved=0xC << 60,
        ),
        empty=empty,
        info=info,
    )


class Straight(NamedTuple):
    """seSparse entries with the bits of a grain's number in their order: its low twelve are
    stored above the others. All entries of a piece are turned at once, as one long number."""

    inner: Entries

    def pieces(self, first: int, last: int) -> Iterator[Piece]:
        """Those of `inner`, turned."""
        for piece in self.inner.pieces(first, last):
            if piece.entries is None:
                yield piece
                continue
            length = len(piece.entries)
            every = int.from_bytes((1).to_bytes(8, "little") * (length // 8), "little")
            value = int.from_bytes(piece.entries, "little")
            low = value >> 48 & every * 0xFFF
            high = (value & every * ((1 << 48) - 1)) << 12
            turned = low | high | value & every * (0xF << 60)
            yield piece._replace(entries=memoryview(turned.to_bytes(length, "little")))


class LastGrain:
    """The grain that the guest ends in: stored whole by some writers, cut by others."""

    def __init__(self, inner: Codec, grain: int) -> None:
        self.name, self._inner, self._grain = inner.name, inner, grain

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """The first `want` bytes of a grain, or all that there are. CorruptError."""
        try:
            return memoryview(self._inner.decode(coded, self._grain))[:want]
        except CorruptError:
            return self._inner.decode(coded, want)

class Stored(NamedTuple):
    """Neighbouring grains that are stored: where their deflated bytes are, and how many."""

    at: array[int]
    length: array[int]


class Grains:
    """A hosted sparse extent of deflated grains: an entry names a marker, which tells the length.

    Markers are read for what is asked alone, those of a table in one call of the kernel.
    """

    def __init__(
        self, header: Sparse, source: Source, tables: Entries, empty: int,
        info: Mapping[str, object],
    ) -> None:  # fmt: skip
        self.size, self.block, self.info = header.size, header.grain, info
        self._header, self._source, self._tables, self._empty = header, source, tables, empty
        self._codec = codecs.zlib()
        self._last = LastGrain(self._codec, header.grain)
        self._prefix = 12 if header.marked else 4  # of the marker; deflated bytes follow

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop). Raises CorruptError, TruncatedError for what is in it."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < stop:
            first, last = start // self.block, -(-stop // self.block)
            yield from gathered(
                clip(runs, start, stop)
                for piece in self._tables.pieces(first, last)
                for runs in self._piece(piece)
            )

    def _piece(self, piece: Piece) -> Iterator[Runs]:
        """A piece of a table: grains that are stored, and runs of others of one kind."""
        if piece.entries is None:
            yield self._blank(piece.first, piece.blocks, self._empty)
            return
        if self._header.footed and self._header.marked and not any(piece.entries):
            self._marked(piece)
        entries = array("I", bytes(piece.entries))
        row, count = 0, len(entries)
        zero = ZEROED if self._header.flags & layout.ZERO_GRAINS else 0
        while row < count:
            blank, begin = entries[row], row
            if blank in (0, zero):
                while row < count and entries[row] == blank:
                    row += 1
                kind = self._empty if blank == 0 else HOLE
                yield self._blank(piece.first + begin, row - begin, kind)
                continue
            while row < min(count, begin + RUNS_ROWS) and entries[row] not in (0, zero):
                row += 1
            yield from self._coded(piece.first + begin, entries[begin:row])

    def _marked(self, piece: Piece) -> None:
        """A table without a grain is a table: a wrong place in the directory mostly leads to zeros,
        which would read as a disk of zeros. CorruptError."""
        header = self._header
        at = piece.at - 4 * (piece.first % header.per_table)
        raw = read(self._source, at - SECTOR, SECTOR + 4 * header.per_table, "grain table")
        told = layout.MARKER.parse(bytes(raw[: layout.MARKER.sizeof()]))
        if told.type != layout.TABLE_MARKER and not any(raw[SECTOR:]):
            text = f"the directory leads to {at} for guest byte {piece.first * self.block}"
            raise CorruptError(f"{text}, where no grain table is", file=self._source.name, at=at)

    def _blank(self, first: int, count: int, kind: int) -> Runs:
        stop = min(self.size, (first + count) * self.block)
        return filler(first * self.block, stop, kind)

    def _coded(self, first: int, sectors: array[int]) -> Iterator[Runs]:
        """Grains from number `first` on, whose markers are at `sectors`."""
        stored, count = self._markers(first, sectors), len(sectors)
        cut = self.size % self.block if (first + count) * self.block > self.size else 0
        whole = count - 1 if cut else count
        if whole:
            yield self._made(first, stored.at[:whole], stored.length[:whole], self.block)
        if cut:
            yield self._made(first + whole, stored.at[whole:], stored.length[whole:], cut)

    def _made(self, first: int, at: array[int], stored: array[int], length: int) -> Runs:
        count, start = len(at), first * self.block
        return Runs(
            array("q", range(start, start + count * length, length)),
            array("q", [length]) * count, at, array("B", [Kind.CODED]) * count, stored,
            array("q", bytes(8 * count)), self._source,
            self._codec if length == self.block else self._last, length,
        )  # fmt: skip

    def _markers(self, first: int, sectors: array[int]) -> Stored:
        """What the markers say, held against the table and the file. CorruptError,
        TruncatedError."""
        places = array("q", [sector * SECTOR for sector in sectors])
        wide, size = self._prefix, self._source.size
        if max(places) > size - wide:
            raise self._cut_off(first, places, array("q", [wide]) * len(places))
        raw = _short_reads(self._source, places, wide)
        words = array("I", raw)
        lengths = array("q", words[wide // 4 - 1 :: wide // 4])
        if self._header.marked:
            self._judge_sectors(first, places, words)
        most = 2 * self.block + SLACK
        if min(lengths) == 0 or max(lengths) > most:
            row = next(i for i, n in enumerate(lengths) if not 0 < n <= most)
            raise CorruptError(f"grain {first + row} of {lengths[row]} stored bytes",
                               file=self._source.name, at=places[row])  # fmt: skip
        starts = array("q", [place + wide for place in places])
        if max(map(int.__add__, starts, lengths)) > size:
            raise self._cut_off(first, starts, lengths)
        return Stored(starts, lengths)

    def _judge_sectors(self, first: int, places: array[int], words: array[int]) -> None:
        """Each marker names the sector of its grain."""
        step = self.block // SECTOR
        for row, (low, high) in enumerate(zip(words[0::3], words[1::3], strict=True)):
            if low + (high << 32) != (first + row) * step:
                raise CorruptError(
                    f"the table has grain {first + row} (sector {(first + row) * step}) where a"
                    f" marker says sector {low + (high << 32)}",
                    file=self._source.name,
                    at=places[row],
                )

    def _cut_off(self, first: int, places: array[int], lengths: array[int]) -> TruncatedError:
        size = self._source.size
        ends = map(int.__add__, places, lengths)
        row, end = next((i, end) for i, end in enumerate(ends) if end > size)
        return TruncatedError(
            f"grain {first + row} (guest byte {(first + row) * self.block}) ends at {end}, the file"
            f" has {size} bytes",
            file=self._source.name,
            at=size,
            remedy="the file is cut short: copy or download it again",
        )


def _short_reads(source: Source, places: array[int], length: int) -> bytearray:
    """`length` bytes of each of `places`, which lie in the source: by one call where it has a
    descriptor."""
    buffer = bytearray(length * len(places))
    if source.fd is not None:
        got = read_runs(source.fd, places, array("q", [length]) * len(places), buffer)
        if got == len(buffer):
            return buffer
    for row, place in enumerate(places):  # also after a short read, for its error
        buffer[row * length : (row + 1) * length] = read(source, place, length, "grain marker")
    return buffer
