"""The blocks of a dynamic or differencing disk, as far as their bitmaps say that they are there."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

from diskimage.errors import CorruptError
from diskimage.formats.vhd import layout
from diskimage.formats.vhd.layout import FREE, SECTOR, Header
from diskimage.kernels.columns import coalesce
from diskimage.layers.bits import stretches
from diskimage.layers.gather import gathered
from diskimage.layers.table import Flat, Match, Pages, Rule, TableDevice, words
from diskimage.limits import RUNS_ROWS
from diskimage.model import HOLE, Gate, Kind, Runs, Source

BITMAPS = 1 << 20
"""Bytes of bitmaps kept: those of 4 GiB in blocks of 2 MiB."""


class Blocks:
    """Blocks where the table says, as far as their bitmaps say that sectors are there.

    A sector that is not there is zeros in a dynamic disk, the parent's in a differencing one.
    `tables` is `source` as far as table and bitmaps are asked for.
    """

    def __init__(
        self, header: Header, source: Source, tables: Source, gate: Gate,
        shown: Mapping[str, object],
    ) -> None:  # fmt: skip
        self.size, self.block, self.info = header.size, header.block, shown
        self._header, self._source = header, source
        self._entries = Flat(
            Pages(tables, gate.limits.table_resident), header.table_at, header.used, 4
        )
        differencing = header.footer.type == layout.DIFFERENCING
        self._clear = Kind.ABSENT if differencing else Kind.ZERO
        self._whole = b"\xff" * header.bitmap
        self._headers = header.headers
        # a disk that grows has its footer at the end, wherever that is by then
        footer = header.footer
        self._tail = 0 if footer.copy else min(layout.FOOTER, source.size - footer.at)
        self._bitmaps = Pages(tables, BITMAPS)
        free = Kind.ABSENT if differencing else HOLE
        self._table = TableDevice(
            size=header.size,
            block=header.block,
            data=source,
            entries=self._entries,
            rule=Rule(
                width=4, big_endian=True, matches=(Match(FREE, FREE, free),), scale=SECTOR,
                base=header.bitmap,
            ),
            empty=free,
        )  # fmt: skip

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop). Raises CorruptError, TruncatedError for what is in it."""
        return gathered(self._pieces(start, self.size if stop is None else stop))

    def bitmap(self, block: int) -> tuple[int, bytearray] | None:
        """Where the bitmap of a block is, and its bytes, not to be changed; None where the block
        is not stored."""
        entry = words(self._entry(block), "I", big_endian=True)[0]
        if entry == FREE:
            return None
        place = entry * SECTOR
        return place, self._bitmaps.read(place, self._header.bitmap, "a sector bitmap")

    def forget(self) -> None:
        """Read table and bitmaps anew from now on: they were changed."""
        self._entries.pages.forget()
        self._bitmaps.forget()

    def _entry(self, block: int) -> bytes:
        piece = next(self._entries.pieces(block, block + 1))
        assert piece.entries is not None
        return bytes(piece.entries)

    def _pieces(self, start: int, stop: int) -> Iterator[Runs]:
        for runs in self._table.runs(start, stop):
            partial = {
                row: bitmap
                for row, kind in enumerate(runs.kind)
                if kind == Kind.DATA and (bitmap := self._bitmap(runs, row)) != self._whole
            }
            yield from self._split(runs, partial) if partial else (runs,)

    def _bitmap(self, runs: Runs, row: int) -> bytearray:
        """The bitmap of the block that a stored row is in."""
        start, skip = runs.start[row], runs.start[row] % self.block
        place, wrong = runs.at[row] - skip - self._header.bitmap, ""
        stop = runs.at[row] + runs.length[row]
        if any(place < end and stop > at for at, end in self._headers):
            wrong = f"over the headers, at {place}"
        elif stop > self._source.size - self._tail:
            wrong = f"over the footer, at {place}"
        elif skip + runs.length[row] > self.block:  # neighbours with no bitmap between them
            wrong = "over another"
        if wrong:
            at = self._header.table_at + 4 * (start // self.block)
            raise CorruptError(
                f"the block of guest byte {start} is stored {wrong}", file=self._source.name, at=at
            )
        return self._bitmaps.read(place, self._header.bitmap, "a sector bitmap")

    def _split(self, runs: Runs, partial: Mapping[int, bytearray]) -> Iterator[Runs]:
        """A block of columns, its rows with a partial bitmap in pieces."""
        start, length, at = array("q"), array("q"), array("q")
        kind = array("B")
        for row, code in enumerate(runs.kind):
            moved = runs.at[row] - runs.start[row]
            for first, stop, part in self._parts(runs, row, code, partial.get(row)):
                start.append(first)
                length.append(stop - first)
                at.append(first + moved if part == Kind.DATA else 0)
                kind.append(part)
        none = array("q")
        for row in range(0, len(start), RUNS_ROWS):
            some = slice(row, row + RUNS_ROWS)
            yield coalesce(
                Runs(start[some], length[some], at[some], kind[some], none, none, self._source)
            )

    def _parts(
        self, runs: Runs, row: int, code: int, bitmap: bytearray | None
    ) -> Iterator[tuple[int, int, int]]:
        """(start, stop, kind) of a row, whole or by its bitmap."""
        start, stop = runs.start[row], runs.start[row] + runs.length[row]
        if bitmap is None:
            yield start, stop, code
            return
        base = start - start % self.block
        first, last = (start - base) // SECTOR, -(-(stop - base) // SECTOR)
        for bit, end, there in stretches(bitmap, first, last, high_first=True):
            begin, edge = max(start, base + bit * SECTOR), min(stop, base + end * SECTOR)
            yield begin, edge, Kind.DATA if there else self._clear
