"""The blocks of a disk: entries with a sector bitmap's between them, and blocks in part present."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from diskimage.errors import CorruptError, TruncatedError
from diskimage.formats.vhdx import layout
from diskimage.formats.vhdx.layout import MIB, PLACE, STATE, Disk, Region
from diskimage.kernels.scan import first_nonzero
from diskimage.layers.bits import stretches
from diskimage.layers.gather import gathered
from diskimage.layers.table import Flat, Match, Pages, Piece, Rule, TableDevice, words
from diskimage.model import HOLE, Extent, Gate, Kind, Runs, Source
from diskimage.runs import pack, view

BITMAPS = 1 << 20
"""Bytes of bitmaps kept."""


class Interleaved(NamedTuple):
    """The entries of `flat` without each that comes behind `ratio` others: a sector bitmap's."""

    flat: Flat
    ratio: int

    def pieces(self, first: int, last: int) -> Iterator[Piece]:
        """The entries of blocks [first, last), those of a page without any in one piece."""
        step = self.ratio + 1
        for page in self.flat.pieces(first + first // self.ratio, last + (last - 1) // self.ratio):
            assert page.entries is not None
            begin, end = page.first, page.first + page.blocks
            if first_nonzero(page.entries) == len(page.entries):
                edge, stop = begin - begin // step, end - end // step
                if edge < stop:
                    yield Piece(edge, stop - edge)
                continue
            for chunk in range(begin // step, -(-end // step)):
                edge, stop = max(begin, chunk * step), min(end, chunk * step + self.ratio)
                if edge < stop:
                    view = page.entries[(edge - begin) * 8 : (stop - begin) * 8]
                    yield Piece(edge - chunk, stop - edge, view, page.at + (edge - begin) * 8)


def rule(disk: Disk) -> Rule:
    """What an entry means. BAD is one that has to be looked at: in part present, or no state.

    Undefined and unmapped blocks read as zeros ([MS-VHDX] 2.5.1.1 leaves their content open).
    """
    zeros: tuple[Match, ...] = (Match(4, 0, HOLE),)
    if disk.differencing:
        zeros = (Match(STATE, layout.ABSENT, Kind.ABSENT), *zeros)
    closer = (Match(6, 4, Kind.BAD), Match(STATE, layout.PARTIAL, Kind.BAD))
    return Rule(width=8, matches=(*zeros, *closer), mask=PLACE)


class Blocks:
    """Blocks where the table says; of those in part present, the sectors that their bitmap has.

    What is not there is the parent's in a differencing disk, else zeros. CorruptError for a block
    in a state that is none, or in part present without a parent. `tables` is `source` as far as
    table and bitmaps are asked for.
    """

    def __init__(
        self, disk: Disk, source: Source, tables: Source, parts: Mapping[str, Region], gate: Gate,
        info: Mapping[str, object],
    ) -> None:  # fmt: skip
        table = parts["the block table"]
        self.size, self.block, self.info = disk.size, disk.block, info
        self._disk, self._source, self._parts = disk, source, parts
        pages = Pages(tables, gate.limits.table_resident)
        self._flat = Flat(pages, table.at, disk.entries, 8, "the block table")
        self._bitmaps = Pages(tables, BITMAPS)
        self._table = TableDevice(
            size=disk.size,
            block=disk.block,
            data=source,
            entries=Interleaved(self._flat, disk.ratio),
            rule=rule(disk),
            empty=Kind.ABSENT if disk.differencing else HOLE,
        )

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop). Raises CorruptError, TruncatedError for what is in it."""
        return gathered(self._pieces(start, self.size if stop is None else stop))

    def entry(self, number: int) -> int:
        """An entry of the table, by its number."""
        piece = next(self._flat.pieces(number, number + 1))
        assert piece.entries is not None
        return words(bytes(piece.entries), "Q")[0]

    def bitmap(self, block: int) -> tuple[int, bytearray]:
        """Where the bits of a block's sectors are, and they, not to be changed."""
        disk = self._disk
        entry = self.entry(disk.bitmap(block))
        if entry & STATE != layout.PRESENT or entry & PLACE < MIB:
            raise self._corrupt(block * self.block, f"has no sector bitmap (entry {entry:#x})")
        at = (entry & PLACE) + block % disk.ratio * disk.bits
        return at, self._bitmaps.read(at, disk.bits, "a sector bitmap")

    def forget(self) -> None:
        """Read table and bitmaps anew from now on: they were changed."""
        self._flat.pages.forget()
        self._bitmaps.forget()

    def _pieces(self, start: int, stop: int) -> Iterator[Runs]:
        for runs in self._table.runs(start, stop):
            rows: Iterable[Runs] = (runs,)
            if Kind.BAD in runs.kind.tobytes():
                rows = pack(row for one in view(runs) for row in self._closer(one))
            for told in rows:
                self._apart(told)
                yield told

    def _apart(self, runs: Runs) -> None:
        """No block lies over what is none: CorruptError."""
        for row, at in enumerate(runs.at):
            if runs.kind[row] != Kind.DATA:
                continue
            stop = at + runs.length[row]
            for name, part in self._parts.items():
                if at < part.at + part.length and stop > part.at:
                    raise self._corrupt(runs.start[row], f"is stored over {name}, at {at}")

    def _closer(self, extent: Extent) -> Iterator[Extent]:
        """The rows of an extent; those of one that the table alone does not tell, by block."""
        if extent.kind != Kind.BAD:
            yield extent
            return
        start = extent.start
        while start < extent.stop:
            stop = min(extent.stop, (start // self.block + 1) * self.block)
            yield from self._partial(start, stop)
            start = stop

    def _partial(self, start: int, stop: int) -> Iterator[Extent]:
        """The sectors of a block that are present, and between them those that are the parent's."""
        block, skip = divmod(start, self.block)
        entry = self.entry(self._disk.payload(block))
        if entry & STATE != layout.PARTIAL:
            raise self._corrupt(start, f"is in state {entry & STATE}, which is none")
        if not self._disk.differencing:
            raise self._corrupt(start, "is in part present, and there is no parent")
        place, sector = entry & PLACE, self._disk.sector
        if not MIB <= place <= self._source.size - (stop - block * self.block):
            text = f"block {block} is stored at {place}, the file has {self._source.size} bytes"
            raise TruncatedError(text, file=self._source.name, at=self._source.size)
        first, last = skip // sector, -(-(skip + stop - start) // sector)
        base = block * self.block
        for bit, end, there in stretches(self.bitmap(block)[1], first, last, high_first=False):
            begin = max(start, base + bit * sector)
            length = min(stop, base + end * sector) - begin
            if there:
                at = place + begin - base
                yield Extent(begin, length, Kind.DATA, source=self._source, at=at)
            else:
                yield Extent(begin, length, Kind.ABSENT)

    def _corrupt(self, start: int, wrong: str) -> CorruptError:
        at = self._flat.at + 8 * self._disk.payload(start // self.block)
        return CorruptError(f"the block of guest byte {start} {wrong}", file=self._source.name,
                            at=at)  # fmt: skip
