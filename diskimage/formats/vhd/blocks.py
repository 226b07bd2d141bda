"""The blocks of a dynamic or differencing disk, as far as their bitmaps say that they are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.errors import CorruptError
from diskimage.formats.vhd import layout
from diskimage.formats.vhd.layout import FREE, SECTOR, Header
from diskimage.layers.bits import stretches
from diskimage.layers.gather import gathered
from diskimage.layers.table import Flat, Match, Pages, Rule, TableDevice, words
from diskimage.model import HOLE, Extent, Gate, Kind, Runs, Source
from diskimage.runs import pack, view

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

    def bitmap(self, block: int) -> tuple[int, bytearray]:
        """Where the bitmap of a stored block is, and its bytes, not to be changed."""
        place = words(self._entry(block), "I", big_endian=True)[0] * SECTOR
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
            yield from pack(self._rows(runs, partial)) if partial else (runs,)

    def _bitmap(self, runs: Runs, row: int) -> bytearray:
        """The bitmap of the block that a stored row is in."""
        start, skip = runs.start[row], runs.start[row] % self.block
        place, wrong = runs.at[row] - skip - self._header.bitmap, ""
        if place < layout.FOOTER:
            wrong = f"over the headers, at {place}"
        elif skip + runs.length[row] > self.block:  # neighbours with no bitmap between them
            wrong = "over another"
        if wrong:
            at = self._header.table_at + 4 * (start // self.block)
            raise CorruptError(
                f"the block of guest byte {start} is stored {wrong}", file=self._source.name, at=at
            )
        return self._bitmaps.read(place, self._header.bitmap, "a sector bitmap")

    def _rows(self, runs: Runs, partial: Mapping[int, bytearray]) -> Iterator[Extent]:
        """The rows of a block of columns, those with a partial bitmap in pieces."""
        for row, extent in enumerate(view(runs)):
            if row in partial:
                yield from self._parts(extent, partial[row])
            else:
                yield extent

    def _parts(self, extent: Extent, bitmap: bytearray) -> Iterator[Extent]:
        skip = extent.start % self.block
        first, last = skip // SECTOR, -(-(skip + extent.length) // SECTOR)
        base = extent.start - skip
        for bit, end, there in stretches(bitmap, first, last, high_first=True):
            start = max(extent.start, base + bit * SECTOR)
            length = min(extent.stop, base + end * SECTOR) - start
            if there:
                at = extent.at + start - extent.start
                yield Extent(start, length, Kind.DATA, source=self._source, at=at)
            else:
                yield Extent(start, length, self._clear)
