"""A dynamic or differencing disk written in place: a new block first, its bytes, its entry last.

A block is appended where the footer was, and a footer behind it; the copy at the beginning serves
while there is none. Entries and bitmaps of old blocks stay in memory until `flush`, which writes
them behind a barrier: a crash loses what was not flushed, and leaves no entry without bytes.
"""

from __future__ import annotations

from diskimage.errors import TooSmallError
from diskimage.formats.vhd.blocks import Blocks
from diskimage.formats.vhd.layout import ALIGN, DYNAMIC, FOOTER, FREE, SECTOR, Header
from diskimage.layers.bits import marked
from diskimage.layers.gather import hole
from diskimage.model import Barrier, Copy, Device, Plan, Put, Source
from diskimage.parse import read
from diskimage.sources.pending import Pending
from diskimage.words import rounded


class Table:
    """The room in a disk: its blocks, table and bitmaps; `whole` is what the guest reads."""

    def __init__(
        self, blocks: Blocks, whole: Device, header: Header, source: Source, pending: Pending
    ) -> None:
        self._blocks, self._whole, self._header = blocks, whole, header
        self._source, self._pending = source, pending
        self._end = -1  # where the next block can begin, once that is known

    def begin(self) -> Plan:
        """Nothing says that a disk is being written."""
        yield from ()

    def present(self, start: int, stop: int) -> Plan:
        """A block where there is none, and the bits of the sectors that lie in [start, stop)."""
        number = start // self._header.block
        if self._blocks.bitmap(number) is None:
            yield from self._allocate(number)
            if self._header.footer.type == DYNAMIC:
                return  # all of its sectors are present, and zeros
        base, last = number * self._header.block, min(rounded(stop, SECTOR), self._header.size)
        edges = ((start // SECTOR * SECTOR, start), (stop, last))
        beside = [(edge, list(self._whole.runs(edge, end))) for edge, end in edges if edge < end]
        place = self._mark(number, start - base, stop - base) - base
        for edge, runs in beside:
            yield Copy(runs, place + edge)

    def clear(self, start: int, stop: int) -> Plan:
        """Sectors of zeros: no entry says that a block is not the parent's."""
        yield from self.present(start, stop)
        stored = self._blocks.bitmap(start // self._header.block)
        assert stored is not None
        place = stored[0] + self._header.bitmap + start % self._header.block
        yield Copy(iter((hole(0, stop - start),)), place)

    def flush(self) -> Plan:
        """What was written is durable before an entry or a bit says that it is there."""
        yield Barrier()
        if self._pending:
            yield from self._pending.plan()
            yield Barrier()

    def _allocate(self, block: int) -> Plan:
        """A block of zeros at the end, all sectors of a dynamic disk's present, and a footer."""
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
        yield Put(place, (b"\xff" if self._header.footer.type == DYNAMIC else b"\0") * bitmap)
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

    def _mark(self, block: int, start: int, stop: int) -> int:
        """Mark the sectors of [start, stop) of a stored block; where the block begins."""
        stored = self._blocks.bitmap(block)
        assert stored is not None
        bitmap_at, old = stored
        new = int.from_bytes(old, "big") | int.from_bytes(
            marked(len(old), start // SECTOR, -(-stop // SECTOR), high_first=True), "big"
        )
        self._change(bitmap_at, new.to_bytes(len(old), "big"))
        return bitmap_at + len(old)

    def _change(self, at: int, data: bytes) -> None:
        self._pending.put(at, data)
        self._blocks.forget()
