"""A dynamic disk written in place: a new block first, then its bytes, and last its entry.

A block is appended where the footer was, and a footer behind it; the copy at the beginning serves
while there is none. Entries and bitmaps of old blocks stay in memory until `plan_flush`, which
writes them behind a barrier: a crash loses what was not flushed, and leaves no entry without bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.errors import TooSmallError
from diskimage.formats.vhd.blocks import Blocks
from diskimage.formats.vhd.layout import ALIGN, FOOTER, FREE, SECTOR, Header
from diskimage.layers.bits import marked
from diskimage.layers.gather import hole
from diskimage.model import Barrier, Copy, Extent, Kind, Plan, Put, Runs, Source
from diskimage.parse import read
from diskimage.runs import extents
from diskimage.sources.pending import Pending
from diskimage.words import rounded


class Growing:
    """The blocks of a dynamic disk, and the plans that change them."""

    def __init__(self, blocks: Blocks, header: Header, source: Source, pending: Pending) -> None:
        self._blocks, self._header = blocks, header
        self._source, self._pending = source, pending
        self._end = -1  # where the next block can begin, once that is known
        self.size, self.block = blocks.size, blocks.block
        self.info: Mapping[str, object] = blocks.info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop)."""
        return self._blocks.runs(start, stop)

    def plan_write(self, start: int, data: memoryview) -> Plan:
        """Make every sector present, then write `data` where they are."""
        stop = start + len(data)
        for extent in list(extents(self, start, stop)):
            if extent.hole:
                for block in range(extent.start // self.block, -(-extent.stop // self.block)):
                    yield from self._allocate(block)
            elif extent.kind != Kind.DATA:
                yield from self._present(extent)
        for extent in list(extents(self, start, stop)):
            yield Put(extent.at, data[extent.start - start : extent.stop - start])

    def plan_zero(self, start: int, length: int) -> Plan:
        """Holes where there are bytes."""
        for extent in list(extents(self, start, start + length)):
            if extent.kind == Kind.DATA:
                yield Copy(iter((hole(0, extent.length),)), extent.at)

    def plan_flush(self) -> Plan:
        """What was written is durable before an entry or a bit says that it is there."""
        yield Barrier()
        if self._pending:
            yield from self._pending.plan()
            yield Barrier()

    def _allocate(self, block: int) -> Plan:
        """A block of zeros at the end, all of its sectors present, and a footer behind it."""
        if self._end < 0:
            yield from self._begin()
        bitmap = self._header.bitmap
        place = rounded(self._end + bitmap, ALIGN) - bitmap
        if place // SECTOR >= FREE:
            raise TooSmallError(
                "its table cannot name a place so far behind", file=self._source.name,
                remedy="convert it to vhdx or qcow2",
            )  # fmt: skip
        self._end = place + self._header.pitch
        yield Put(self._end, self._header.footer.raw)
        yield Put(place, b"\xff" * bitmap)
        entry = (place // SECTOR).to_bytes(4, "big")
        self._change(self._header.table_at + 4 * block, entry)

    def _begin(self) -> Plan:
        """Find the end, past which all is zeros; the copy of the footer has to stand by then."""
        footer, size = self._header.footer, self._source.size
        ends = footer.at + FOOTER >= size and not footer.copy
        self._end = footer.at if ends else size
        if read(self._source, 0, FOOTER, "the copy of the footer") != footer.raw:
            yield Put(0, footer.raw)
            yield Barrier()

    def _present(self, extent: Extent) -> Plan:
        """Mark the sectors of an extent that its block lacks; what it leaves of them is zeros."""
        block, skip = divmod(extent.start, self.block)
        bitmap_at, old = self._blocks.bitmap(block)
        base = bitmap_at + len(old)
        first, last = skip // SECTOR, -(-(skip + extent.length) // SECTOR)
        for begin, end in ((first * SECTOR, skip), (skip + extent.length, last * SECTOR)):
            if begin < end:
                yield Put(base + begin, bytes(end - begin))
        new = int.from_bytes(old, "big") | int.from_bytes(
            marked(len(old), first, last, high_first=True), "big"
        )
        self._change(bitmap_at, new.to_bytes(len(old), "big"))

    def _change(self, at: int, data: bytes) -> None:
        self._pending.put(at, data)
        self._blocks.forget()
