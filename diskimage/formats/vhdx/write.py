"""A VHDX written in place, its table and bitmaps through its log.

A new block is appended, its bytes follow; entries and bitmaps wait in memory. To write these out:
the bytes are made durable, and an entry of the log that holds every changed sector, then a header
that names that log, then the sectors are written where they belong, and then a header without it.
A crash behind the first header leaves a log that says what was to be written; one before it, a file
in which no entry was changed. Facts: [MS-VHDX] 2.2.2.1 for headers, 2.3 for the log.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from uuid import uuid4

from diskimage.errors import CorruptError
from diskimage.formats.vhdx import layout, log
from diskimage.formats.vhdx.blocks import Blocks
from diskimage.formats.vhdx.layout import (
    HEADERS_AT,
    MIB,
    NOBODY,
    PLACE,
    STATE,
    Disk,
    Header,
    Region,
)
from diskimage.layers.bits import marked
from diskimage.layers.gather import hole
from diskimage.model import Barrier, Copy, Device, Plan, Put, Source, Step
from diskimage.sources.patched import Patched
from diskimage.sources.pending import Pending
from diskimage.words import rounded

SECTORS = 254
"""Changed sectors that an entry holds in a log of 1 MiB, the smallest there is."""
CHANGE = 19
"""Sectors that one block changes at most: two of the table, 17 of the bitmap of a 256 MiB block."""
LAST = (1 << 64) - (1 << 32)
"""A sequence of headers that cannot be counted on from here."""


class Headers:
    """Both headers: what changes is written over the one that does not count, then the other."""

    def __init__(self, header: Header) -> None:
        self.now = header

    def plan(self, **changed: Any) -> Plan:
        """The first is durable before the second; what may not be ahead of that needs a barrier."""
        for last in (False, True):
            at = HEADERS_AT[HEADERS_AT[0] == self.now.at]
            self.now = self.now._replace(at=at, sequence=self.now.sequence + 1, **changed)
            yield Put(at, layout.header_bytes(self.now))
            if not last:
                yield Barrier()


def carried_out(patched: Patched, source: Source, headers: Headers) -> Plan:
    """What the log of a file says written into it, and a header that needs no log any more."""
    if patched.size > source.size:
        yield Put(patched.size - 1, b"\0")
    for at, length, data in list(patched.patches()):
        yield Copy(iter((hole(0, length),)), at) if data is None else Put(at, data)
    yield Barrier()
    yield from headers.plan(log=NOBODY)
    patched.forget()


class Table:
    """The room in a disk: table, bitmaps and log; `whole` is what the guest reads."""

    def __init__(
        self, blocks: Blocks, whole: Device, disk: Disk, table: Region, headers: Headers,
        source: Source, file: Source, pending: Pending,
    ) -> None:  # fmt: skip
        self._blocks, self._whole, self._disk, self._table = blocks, whole, disk, table
        self._headers, self._source, self._file, self._pending = headers, source, file, pending
        self._begun = False

    def begin(self) -> Plan:
        """A log that waits is carried out; file and content get new identities."""
        if len(self._pending) > SECTORS - CHANGE:
            yield from self._written_out()
        if self._begun:
            return
        header = self._headers.now
        log.judge(self._source, header)
        if header.sequence >= LAST:
            raise CorruptError(f"a header of sequence {header.sequence}", file=self._source.name,
                               at=header.at)  # fmt: skip
        if isinstance(self._file, Patched) and header.log != NOBODY:
            yield from carried_out(self._file, self._source, self._headers)
            yield Barrier()
        yield from self._headers.plan(file_write=uuid4(), data_write=uuid4())
        self._begun = True

    def present(self, start: int, stop: int) -> Plan:
        """A block where there is none, and of a parent's block the sectors of [start, stop)."""
        disk, (number, skip) = self._disk, divmod(start, self._disk.block)
        entry = self._blocks.entry(disk.payload(number))
        state, base = entry & STATE, start - skip
        if state not in (layout.PRESENT, layout.PARTIAL):
            end = min(base + disk.block, disk.size)
            part = disk.differencing and state == layout.ABSENT and (start, stop) != (base, end)
            place = yield from self._appended(disk.block)
            if not part:
                self._change(disk.payload(number), place | layout.PRESENT)
                return
            yield from self._mark(number, start, stop, place, new=True)
            self._change(disk.payload(number), place | layout.PARTIAL)
        else:
            yield from self._mark(number, start, stop, entry & PLACE, new=False)

    def clear(self, start: int, stop: int) -> Plan:
        """A whole block by its entry, a part by sectors that are zeros."""
        disk, (number, skip) = self._disk, divmod(start, self._disk.block)
        payload = disk.payload(number)
        whole = skip == 0 and stop == min(start + disk.block, disk.size)
        if whole and self._blocks.entry(payload) & STATE == layout.ABSENT:
            self._change(payload, layout.ZERO)
            return
        yield from self.present(start, stop)
        place = self._blocks.entry(payload) & PLACE
        yield Copy(iter((hole(0, stop - start),)), place + skip)

    def flush(self) -> Plan:
        """Write out what waits, and make all of it durable."""
        if self._pending:
            yield from self._written_out()
        yield Barrier()

    def _appended(self, length: int) -> Generator[Step, Any, int]:
        """Zeros of so many bytes at the end of the file; answers where they are."""
        place = rounded(self._source.size, MIB)
        yield Put(place + length - 1, b"\0")
        return place

    def _mark(self, number: int, start: int, stop: int, place: int, *, new: bool) -> Plan:
        """Set the bits of the sectors in [start, stop) of a block stored at `place`, alone where it
        is `new`; what they hold beside that is what the guest reads there now."""
        disk, base = self._disk, number * self._disk.block
        first, last = start // disk.sector * disk.sector, min(rounded(stop, disk.sector), disk.size)
        edges = [
            (edge, list(self._whole.runs(edge, end)))
            for edge, end in ((first, start), (stop, last)) if edge < end
        ]  # fmt: skip
        entry = disk.bitmap(number)
        if self._blocks.entry(entry) & STATE != layout.PRESENT:
            bitmap = yield from self._appended(MIB)
            self._change(entry, bitmap | layout.PRESENT)
        at, old = self._blocks.bitmap(number)
        bits = marked(disk.bits, (first - base) // disk.sector, -(-(last - base) // disk.sector),
                      high_first=False)  # fmt: skip
        kept = 0 if new else int.from_bytes(old, "little")
        changed = kept | int.from_bytes(bits, "little")
        self._put(at, changed.to_bytes(disk.bits, "little"))
        for edge, runs in edges:
            yield Copy(runs, place + edge - base)

    def _change(self, number: int, entry: int) -> None:
        self._put(self._table.at + 8 * number, entry.to_bytes(8, "little"))

    def _put(self, at: int, data: bytes) -> None:
        self._pending.put(at, data)
        self._blocks.forget()

    def _written_out(self) -> Plan:
        """Every changed sector through the log, which nothing names before it and the bytes that
        the sectors are about are durable."""
        name = uuid4()
        entry = log.entry_bytes(
            self._headers.now._replace(log=name), list(self._pending.sectors()), self._source.size
        )
        yield Put(self._headers.now.log_at, entry)
        yield Barrier()
        yield from self._headers.plan(log=name)
        yield from self._pending.plan()
        yield Barrier()
        yield from self._headers.plan(log=NOBODY)
