"""A qcow2 file written in place: allocate, write, publish.

Guest bytes go to clusters that nothing refers to, or to those that this guest alone refers to; what
the tables say of it stays in memory until `plan_flush`, which makes durable, each before the next:
the bytes and the refcounts that rose, L2 tables, the L1 table; then refcounts fall. A crash loses
what was not flushed, and leaves at most clusters that nobody uses (QEMU, docs/interop/qcow2).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from diskimage.errors import (
    CorruptError,
    LimitError,
    RefusedReferenceError,
    UnsupportedError,
    UsageError,
)
from diskimage.formats.qcow2 import layout
from diskimage.formats.qcow2.amend import renamed
from diskimage.formats.qcow2.counts import Counts
from diskimage.formats.qcow2.layout import COMPRESSED, COPIED, OFFSET, ZERO, Header
from diskimage.formats.qcow2.preparing import announced, claimed
from diskimage.formats.qcow2.tables import Entry, Tables
from diskimage.layers.claims import Claims
from diskimage.layers.gather import hole
from diskimage.layers.overlay import Overlay
from diskimage.layers.table import TableDevice
from diskimage.model import (
    Barrier,
    Copy,
    Device,
    Gate,
    Kind,
    Plan,
    Put,
    Runs,
    Size,
    Source,
    Step,
)
from diskimage.parse import read
from diskimage.runs import extents
from diskimage.words import rounded

ALL = (1 << 32) - 1  # the bitmap of a cluster whose subclusters are all stored
ZEROS = ALL << 32  # all read as zeros
SECTOR = 512
SIZE_AT, L1_AT = 24, 36  # of the header; the L1 table's entries and place


def unwritable(header: Header) -> str | None:
    """Why an image is not written in place; None where it is."""
    if header.incompatible & layout.DIRTY:
        return "its refcounts may be stale: mend it first, with qemu-img check -r all"
    if header.incompatible & layout.CORRUPT:
        return "it is marked corrupt: mend it first, with qemu-img check -r all"
    if header.incompatible & layout.DATA_FILE:
        return "its guest is in an external data file"
    return "it is encrypted" if header.encryption else None


class Growing:
    """`layer` with the plans that change it; `whole` is what the guest reads: it over its backing.

    Whatever else refers to a cluster (a snapshot) keeps it: such a one is copied before it changes.
    """

    def __init__(
        self, header: Header, tables: Tables, layer: TableDevice, whole: Device, source: Source,
        gate: Gate,
    ) -> None:  # fmt: skip
        self._header, self._tables, self._source, self._gate = header, tables, source, gate
        self.layer, self.whole = layer, whole
        self.size, self.block = layer.size, layer.block
        self.info: Mapping[str, object] = layer.info
        self._end = 0  # of the last cluster that was taken
        self._claims: Claims | None = None
        self._counts: Counts | None = None

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop)."""
        return self.whole.runs(start, stop)

    def plan_write(self, start: int, data: memoryview) -> Plan:
        """Make every cluster this guest's own, then write `data` where they are."""
        counts = yield from self._begun()
        stop = start + len(data)
        for first, last in self._parts(start, stop):
            for entry in self._entries(first, last):
                base = entry.number * self.block
                yield from self._own(counts, entry, max(first, base),
                                     min(last, base + self.block))  # fmt: skip
            yield from self._long_enough()
            for extent in list(extents(self.layer, first, last)):
                assert extent.kind == Kind.DATA, extent
                yield Put(extent.at, data[extent.start - start : extent.stop - start])
            yield from self._within(counts)

    def plan_zero(self, start: int, length: int) -> Plan:
        """Whole clusters become zero ones, without space; of others a part is written."""
        first, last = self._whole_clusters(start, start + length)
        yield from self._blank(start, first)
        yield from self._say_all(first, last, self._zero())
        yield from self._blank(last, start + length)

    def plan_forget(self, start: int, length: int) -> Plan:
        """Let the backing answer again for the clusters that lie wholly in a range."""
        yield from self._say_all(*self._whole_clusters(start, start + length), Entry(0))

    def plan_flush(self) -> Plan:
        """Publish what was written, and make it durable."""
        if self._counts is None or not self._counts.held:  # else it is durable with the refcounts
            yield Barrier()
        if self._counts is None:
            return
        yield from self._counts.plan_raised()
        yield from self._tables.plan()
        yield from self._counts.plan_lowered()

    def plan_resize(self, size: int) -> Plan:
        """Make the guest `size` bytes; what it gains reads as zeros, whatever the backing holds.

        UsageError for no whole number of sectors, RefusedReferenceError where the backing is not
        open, UnsupportedError where snapshots do not tell their size.
        """
        self._demand_resizable(size)
        yield from self._begun()
        yield from self.plan_flush()
        old, header = self.size, self._header._replace(size=size)
        if size < old:  # first the size, for what is cut off may be gone by the next crash
            yield from self._said_size(size)
            yield from self._say_all(rounded(size, self.block), old, Entry(0))
            yield from self.plan_flush()
        elif header.tables > header.l1_entries:
            header = yield from self._longer(header)
        self._header = header
        self._tables.moved(header)
        self.size = self.layer.size = size
        if isinstance(self.whole, Overlay):
            self.whole.size = size
        if size > old:
            hidden = self.whole.bottom.size if isinstance(self.whole, Overlay) else 0
            edge = min(size, rounded(max(old, hidden), self.block))
            yield from self.plan_zero(old, edge - old)
            yield from self.plan_forget(edge, size - edge)
            yield from self.plan_flush()
            yield from self._said_size(size)

    def _demand_resizable(self, size: int) -> None:
        header, name = self._header, self._source.name
        if size % SECTOR:
            raise UsageError(f"{size} bytes are no whole number of sectors of {SECTOR}", file=name)
        if size > self.size and header.backing is not None and self.whole is self.layer:
            raise RefusedReferenceError(
                "what it gains has to hide what its backing holds there", file=name,
                remedy="allow its backing with --references siblings, or a directory",
            )  # fmt: skip
        rows = layout.snapshots(header, self._source, self._gate.limits)
        if any(row.disk_size is None for row in rows):
            raise UnsupportedError(
                "its snapshots do not tell the size that they had", file=name,
                remedy="delete them with qemu-img snapshot -d, or convert the image",
            )  # fmt: skip

    def _longer(self, header: Header) -> Generator[Step, Any, Header]:
        """Copy the L1 table to where it has room for the tables of `header`, and name it there."""
        counts = yield from self._begun()
        length = 8 * header.tables
        if length > self._gate.limits.l1_table:
            text = f"an L1 table of {length} bytes, over l1_table {self._gate.limits.l1_table}"
            raise LimitError(text, file=self._source.name, remedy="convert it to larger clusters")
        clusters = -(-length // self.block)
        old_at, old_length = header.l1_at, 8 * header.l1_entries
        table = read(self._source, old_at, old_length, "L1 table")
        to = counts.take_row(clusters)
        yield Put(to, table.ljust(clusters * self.block, b"\0"))
        yield from counts.plan_raised()
        entries = header.tables
        yield Put(L1_AT, entries.to_bytes(4, "big") + to.to_bytes(8, "big"))
        yield Barrier()
        if old_length:
            counts.free(old_at, old_length)
        return header._replace(l1_at=to, l1_entries=entries)

    def _said_size(self, size: int) -> Plan:
        yield Put(SIZE_AT, size.to_bytes(8, "big"))
        yield Barrier()

    def plan_backing(self, name: str | None, format: str | None) -> Plan:
        """Name another backing, or none, in the header; what is read changes with the next open.

        UsageError where the names do not fit into the first cluster.
        """
        yield from self._begun()
        yield from self.plan_flush()
        first = read(self._source, 0, self.block, "first cluster")
        new = renamed(self._header, bytes(first), name, format)
        stop = max(len(new), len(first.rstrip(b"\0")))
        yield Put(0, new.ljust(stop, b"\0"))
        yield Barrier()
        self._header = layout.load(self._source, self._gate.limits)

    def _begun(self) -> Generator[Step, Any, Counts]:
        """The refcounts; before the first change say in the file what changes make untrue.

        CorruptError where two tables are in one place, or one is past the end of the file.
        """
        if self._counts is None:
            header, limits = self._header, self._gate.limits
            claims = Claims(self._source, 0, self.block, limits)
            counts = Counts(header, self._source, limits, claims)
            for problem in claimed(header, self._source, limits, claims, counts.table):
                raise CorruptError(
                    f"{problem.message}: it is not written", file=self._source.name, at=problem.at,
                    remedy="mend it first, with qemu-img check -r all",
                )  # fmt: skip
            yield from announced(self._header, self._source, self._gate)
            self._claims, self._counts = claims, counts
        return self._counts

    def _within(self, counts: Counts) -> Plan:
        """Publish what is held once it is more than memory is for."""
        if self._tables.held + counts.held > self._gate.limits.table_resident:
            yield from self.plan_flush()

    def _parts(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """[start, stop) cut where the L2 tables end."""
        cover = self._header.cluster * self._header.per_table
        while start < stop:
            edge = min(stop, (start // cover + 1) * cover)
            yield start, edge
            start = edge

    def _whole_clusters(self, start: int, stop: int) -> tuple[int, int]:
        """The part of [start, stop) that is whole clusters, the guest's last one among them."""
        first = min(stop, rounded(start, self.block))
        return first, max(first, stop if stop == self.size else stop - stop % self.block)

    def _entries(self, start: int, stop: int) -> list[Entry]:
        """What the table says of the clusters of a range, which are held against its rules."""
        for _ in self.layer.runs(start, stop):
            pass
        return list(self._tables.entries(start // self.block, -(-stop // self.block)))

    def _owned(self, counts: Counts, word: int) -> bool:
        """Whether a cluster may be written where it is. CorruptError where flag and count differ,
        or the cluster holds a table."""
        place = word & OFFSET
        if word & COMPRESSED or not word & COPIED or not place:
            return False
        self._demand(counts, place)
        return self._header.extended or not word & ZERO

    def _demand(self, counts: Counts, place: int) -> None:
        assert self._claims is not None
        found, wrong = counts.count(place), ""
        if found != 1:
            wrong = f"is said to have one reference, its refcount is {found}"
        elif self._claims.holds(place):
            wrong = "holds a table"
        if wrong:
            raise CorruptError(
                f"the cluster at {place} {wrong}", file=self._source.name, at=place,
                remedy="mend its refcounts first, with qemu-img check -r all",
            )  # fmt: skip

    def _own(self, counts: Counts, entry: Entry, start: int, stop: int) -> Plan:
        """Make a cluster this guest's own and all of it stored; [start, stop) is written next."""
        base = entry.number * self.block
        top = min(base + self.block, self.size)
        owned = self._owned(counts, entry.word)
        if owned and (not self._header.extended or entry.bitmap == ALL):
            return
        place = entry.word & OFFSET if owned else counts.take()
        self._held(counts, entry.number)
        self._end = max(self._end, place + self.block)
        for first, last in ((base, start), (stop, top)):
            if first < last:
                yield from self._kept(first, last, place - base, owned=owned)
        if top < base + self.block:  # past the guest's end: nothing that another left there
            yield Copy(iter((hole(0, base + self.block - top),)), place + top - base)
        if not owned:
            self._release(counts, entry.word)
        self._tables.set(Entry(entry.number, place | COPIED, ALL))

    def _long_enough(self) -> Plan:
        """The file has every cluster whole, whatever of it is written."""
        if self._end > self._source.size:
            yield Size(self._end)

    def _kept(self, start: int, stop: int, moved: int, *, owned: bool) -> Plan:
        """Copy what the guest reads in a range; not what an `owned` cluster already stores."""
        for extent in list(extents(self.layer, start, stop)):
            if not (owned and extent.kind == Kind.DATA):
                yield Copy(self.whole.runs(extent.start, extent.stop), extent.start + moved)

    def _held(self, counts: Counts, number: int) -> None:
        """Hold the L2 table of a cluster in memory, a new one where there is none of our own."""
        index = number // self._header.per_table
        if self._tables.holds(index):
            return
        entry, at = self._tables.above(index)
        if at and entry & COPIED:
            if counts.count(at) != 1:
                raise CorruptError(
                    f"the L2 table at {at} is said to have one reference, its refcount is"
                    f" {counts.count(at)}", file=self._source.name, at=at,
                    remedy="mend its refcounts first, with qemu-img check -r all",
                )  # fmt: skip
            self._tables.load(index, at)
            return
        to = counts.take()
        self._tables.move(index, at, to)
        if at:
            counts.free(at)

    def _zero(self) -> Entry | None:
        """What a cluster of zeros is; None where it has to be stored (version 2 over a backing)."""
        if self._header.backing is None:
            return Entry(0)
        if self._header.extended:
            return Entry(0, 0, ZEROS)
        return Entry(0, ZERO) if self._header.version >= 3 else None

    def _say_all(self, start: int, stop: int, said: Entry | None) -> Plan:
        """Make every cluster of [start, stop) say one thing; what has no table says nothing."""
        counts = yield from self._begun()
        tables = [(start, stop)]
        if said == Entry(0):
            found = self._tables.stretches(start // self.block, -(-stop // self.block))
            tables = [
                (first * self.block, min(stop, last * self.block))
                for first, last, there in found if there
            ]  # fmt: skip
        for first, last in tables if start < stop else ():
            for begin, end in self._parts(first, last):
                yield from self._say(counts, begin, end, said)
                yield from self._within(counts)

    def _say(self, counts: Counts, start: int, stop: int, said: Entry | None) -> Plan:
        """Make every cluster from `start` on say one thing, and give back what it had."""
        if said is None:
            yield from self._stored_zeros(counts, start, stop)
            return
        for entry in self._entries(start, stop):
            if entry[1:] != said[1:]:
                self._held(counts, entry.number)
                self._release(counts, entry.word)
                self._tables.set(said._replace(number=entry.number))

    def _stored_zeros(self, counts: Counts, start: int, stop: int) -> Plan:
        for entry in self._entries(start, stop):
            base = entry.number * self.block
            yield from self._own(counts, entry, base, min(base + self.block, self.size))
        yield from self._long_enough()
        for extent in list(extents(self.layer, start, stop)):
            yield Copy(iter((hole(0, extent.length),)), extent.at)

    def _blank(self, start: int, stop: int) -> Plan:
        """Write zeros over a part of a cluster, where it does not read as such."""
        if start < stop and any(e.kind != Kind.ZERO for e in extents(self.whole, start, stop)):
            yield from self.plan_write(start, memoryview(bytes(stop - start)))

    def _release(self, counts: Counts, word: int) -> None:
        """Give back what an entry refers to."""
        if word & COMPRESSED:
            split = 62 - (self._header.cluster_bits - 8)
            at = word & ((1 << split) - 1)
            sectors = ((word & (COMPRESSED - 1)) >> split) + 1
            counts.free(at, min(sectors * 512 - at % 512, self._source.size - at))
        elif word & OFFSET:
            counts.free(word & OFFSET)
