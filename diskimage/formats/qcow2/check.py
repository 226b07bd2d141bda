"""The check of a qcow2 file: every reference counted and held against the refcounts.

Five bytes a cluster of the file are held in memory; a file with more clusters than `metadata`
allows is a limit. Each L2 table is walked once, however many snapshots share it. Findings: corrupt
(a refcount too low, an overlap, an illegal entry, a wrong copied flag), truncated (an entry past
the end of the file), leak (a refcount too high).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby

from diskimage.errors import ContentError, CorruptError, LimitError
from diskimage.formats.qcow2 import crypt, layout
from diskimage.formats.qcow2.layout import COMPRESSED, COPIED, OFFSET, Header
from diskimage.formats.qcow2.refcounts import unpacked
from diskimage.kernels.scan import is_zero
from diskimage.layers.table import words
from diskimage.limits import Limits
from diskimage.model import Finding, Gate, Source
from diskimage.parse import read

MOST = 0xFFFF  # counts are held up to here; what is above is taken for equal
PIECE = 1 << 20  # bytes of a table read at once


class Owner(IntEnum):
    """What a cluster holds. L2 tables and data may have several references."""

    NOBODY = 0
    HEADER = 1
    L1 = 2
    L2 = 3
    REFCOUNT_TABLE = 4
    REFCOUNT_BLOCK = 5
    SNAPSHOTS = 6
    BITMAPS = 7
    DATA = 8
    LUKS = 9

    @property
    def text(self) -> str:
        """For messages."""
        return "LUKS header" if self is Owner.LUKS else self.name.replace("_", " ").lower()


SHARED = frozenset({Owner.L2, Owner.DATA})


@dataclass(slots=True)
class _Table:
    """An L2 table: how many L1 tables name it, and its place in the active one, -1 if in none."""

    references: int
    index: int


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """The findings, in the order of the walk. Raises what `open` raises for an unusable header."""
    header = layout.load(source, gate.limits)
    walk = _Walk(header, source, gate.limits)
    if header.incompatible & layout.CORRUPT:
        yield Finding("corrupt", "the image is marked corrupt", layout.LENGTH_V2)
    yield from walk.refcounts()
    yield from walk.claim(0, 1, Owner.HEADER, 0)
    if (where := crypt.place(header, source)) is not None:
        yield from walk.claim(*where, Owner.LUKS, 0)
    yield from walk.tables(header.l1_at, header.l1_entries, active=True)
    yield from walk.snapshots()
    yield from walk.contents()
    yield from walk.bitmaps()
    yield from walk.compared()


class _Walk:
    """References and stored counts of each cluster of the file."""

    def __init__(self, header: Header, source: Source, limits: Limits) -> None:
        self._header, self._source, self._limits = header, source, limits
        self._bits, self._cluster = header.cluster_bits, header.cluster
        count = -(-source.size // header.cluster)
        if count * 5 > limits.metadata:
            text = f"a check of {count} clusters needs {count * 5} bytes, over metadata"
            raise LimitError(f"{text} {limits.metadata}", file=source.name)
        self._clusters = count
        self._last_whole = source.size - header.cluster  # where the last whole cluster may begin
        self._owner = bytearray(count)
        self._found = array("H", bytes(2 * count))
        self._stored = array("H", bytes(2 * count))
        self._outside = bool(header.incompatible & layout.DATA_FILE)
        self._tables: dict[int, _Table] = {}

    def claim(
        self, at: int, length: int, owner: Owner, entry_at: int, times: int = 1
    ) -> Iterator[Finding]:
        """Count `times` references to each cluster of [at, at + length), which an entry names."""
        last = (at + length - 1) >> self._bits
        if last >= self._clusters:
            text = f"{owner.text} at {at} ends past the end of the file ({self._source.size})"
            yield Finding("truncated", text, entry_at)
        for cluster in range(at >> self._bits, min(last + 1, self._clusters)):
            had = Owner(self._owner[cluster])
            if had is not Owner.NOBODY and (had is not owner or owner not in SHARED):
                place = cluster << self._bits
                text = f"{owner.text} overlaps {had.text} at {place}"
                yield Finding("corrupt", text, entry_at)
            else:
                self._owner[cluster] = owner
            self._found[cluster] = min(MOST, self._found[cluster] + times)

    def _words(self, at: int, count: int, what: str) -> Iterator[tuple[int, int]]:
        """(place, entry) of each entry of a table that is not zero."""
        for done in range(0, count, PIECE // 8):
            here = min(PIECE // 8, count - done)
            raw = read(self._source, at + 8 * done, 8 * here, what)
            if not is_zero(raw):
                for row, entry in enumerate(words(raw, "Q", big_endian=True)):
                    if entry:
                        yield at + 8 * (done + row), entry

    def _placed(self, entry: int, reserved: int, at: int, what: str) -> Iterator[Finding]:
        """What is wrong with the form of an entry."""
        if entry & reserved:
            text = f"{what} entry {entry:#x}: reserved bits are set"
            yield Finding("corrupt", text, at)
        if (entry & OFFSET) % self._cluster:
            yield Finding("corrupt", f"{what} entry {entry:#x}: is not aligned", at)

    def refcounts(self) -> Iterator[Finding]:
        """Load the stored counts; claim their table and blocks."""
        header, at = self._header, self._header.refcounts_at
        length = header.refcount_clusters * self._cluster
        if length > self._limits.refcount_table:
            text = f"a refcount table of {length} bytes, over refcount_table"
            raise LimitError(f"{text} {self._limits.refcount_table}", file=self._source.name, at=56)
        if at % self._cluster or at == 0:
            text = f"the refcount table at {at} is not aligned, or is the header"
            raise CorruptError(text, file=self._source.name, at=48)
        if length == 0:
            yield Finding("corrupt", "there is no refcount table", 56)
            return
        yield from self.claim(at, length, Owner.REFCOUNT_TABLE, 48)
        per_block = self._cluster * 8 >> header.refcount_order
        for place, entry in self._words(at, length // 8, "refcount table"):
            faults = list(self._placed(entry, 511, place, "refcount table"))
            yield from faults
            if faults:
                continue
            faults = list(self.claim(entry, self._cluster, Owner.REFCOUNT_BLOCK, place))
            yield from faults
            if not faults:
                self._load(entry, (place - at) // 8 * per_block)

    def _load(self, at: int, first: int) -> None:
        """Keep the counts of a block as far as the file has clusters."""
        raw = read(self._source, at, self._cluster, "refcount block")
        most = max(0, self._clusters - first)
        counts = unpacked(raw, self._header.refcount_order, most)[:most]
        if counts.typecode != "H":
            counts = array("H", [min(MOST, count) for count in counts])
        self._stored[first : first + len(counts)] = counts

    def tables(self, at: int, entries: int, *, active: bool) -> Iterator[Finding]:
        """Claim an L1 table and its L2 tables; flags count in the active one alone."""
        if entries == 0:
            return
        if at % self._cluster or entries * 8 > self._limits.l1_table:
            yield Finding("corrupt", f"an L1 table of {entries} entries at {at}", at)
            return
        faults = list(self.claim(at, entries * 8, Owner.L1, at))
        yield from faults
        if faults:  # two tables in one place are walked once: a file cannot ask for more
            return
        seen: set[int] = set()
        for place, entry in self._words(at, entries, "L1 table"):
            faults = list(self._placed(entry, layout.L1_RESERVED, place, "L1 table"))
            table = entry & OFFSET
            if table in seen:
                faults.append(Finding("corrupt", f"two entries name the table at {table}", place))
            if not faults and table:
                faults = list(self.claim(table, self._cluster, Owner.L2, place))
            yield from faults
            if faults or not table:
                continue
            seen.add(table)
            self._tables.setdefault(table, _Table(0, -1)).references += 1
            if active:
                self._tables[table].index = (place - at) // 8
                yield from self._flag(entry, table, place, "L2 table")

    def contents(self) -> Iterator[Finding]:
        """Claim the clusters of every L2 table, once for each L1 table that names it."""
        for at, table in self._tables.items():
            yield from self._entries(at, table)

    def _flag(self, entry: int, at: int, place: int, what: str) -> Iterator[Finding]:
        """The copied flag is set exactly where the refcount is 1."""
        count = self._stored[at >> self._bits]
        if bool(entry & COPIED) != (count == 1):
            said = "set" if entry & COPIED else "clear"
            text = f"{what} at {at}: the copied flag is {said}, the refcount is {count}"
            yield Finding("corrupt", text, place)

    def _entries(self, at: int, table: _Table) -> Iterator[Finding]:
        extended, step = self._header.extended, self._header.entry
        quick = not extended and not self._outside and table.references == 1 and table.index >= 0
        for place, entry in self._words(at, self._cluster // 8, "L2 table"):
            if quick and self._usual(entry):
                continue
            if extended and (place - at) % 16:
                yield from self._bitmap(entry, place)
            elif entry & COMPRESSED:
                yield from self._compressed(entry, place, table.references)
            else:
                row = table.index * self._header.per_table + (place - at) // step
                guest = row * self._cluster if table.index >= 0 else None
                yield from self._standard(entry, place, guest, table.references)

    def _usual(self, entry: int) -> bool:
        """Claim the cluster of an entry with nothing to say about: plain, its only reference."""
        at = entry ^ COPIED
        cluster = at >> self._bits
        if at & ~OFFSET or cluster << self._bits != at or not 0 < at <= self._last_whole:
            return False
        if self._owner[cluster] or self._stored[cluster] != 1:
            return False
        self._owner[cluster] = Owner.DATA
        self._found[cluster] = 1
        return True

    def _bitmap(self, bitmap: int, place: int) -> Iterator[Finding]:
        """The second word of an extended entry."""
        if bitmap >> 32 & bitmap:
            yield Finding("corrupt", f"subclusters allocated and zero at once: {bitmap:#x}", place)
        (first,) = words(read(self._source, place - 8, 8, "L2 table"), "Q", big_endian=True)
        placed = first & (COPIED | OFFSET if self._outside else OFFSET)
        if bitmap and first & COMPRESSED:
            yield Finding("corrupt", f"a compressed cluster with subclusters {bitmap:#x}", place)
        elif bitmap & 0xFFFFFFFF and not placed:
            yield Finding("corrupt", f"subclusters without a place: {bitmap:#x}", place)
        last = max(0, (bitmap & 0xFFFFFFFF).bit_length() - 1) * (self._cluster // 32)
        if not self._outside and (first & OFFSET) + last >= self._source.size:
            text = f"a subcluster of data at {first & OFFSET} is past the end of the file"
            yield Finding("truncated", text, place)

    def _compressed(self, entry: int, place: int, times: int) -> Iterator[Finding]:
        if self._outside:
            yield Finding("corrupt", "a compressed cluster beside an external data file", place)
            return
        split = 62 - (self._bits - 8)
        at = entry & ((1 << split) - 1)
        sectors = ((entry & (COMPRESSED - 1)) >> split) + 1
        stored = sectors * 512 - (at & 511)
        if entry & COPIED:
            text = f"a compressed cluster with the copied flag: {entry:#x}"
            yield Finding("corrupt", text, place)
        if at < self._source.size:  # the last sector may be cut by the end of the file
            stored = min(stored, self._source.size - at)
        yield from self.claim(at, stored, Owner.DATA, place, times)

    def _standard(self, entry: int, place: int, guest: int | None, times: int) -> Iterator[Finding]:
        """A plain or zero cluster; `guest` is its place in the active guest, None outside it."""
        old = self._header.version < 3 or self._header.extended
        faults = list(self._placed(entry, layout.L2_RESERVED | old, place, "L2 table"))
        at = entry & OFFSET
        if faults or self._outside or at == 0:
            yield from faults
            return
        length = 1
        if guest is not None and not (self._header.extended or entry & layout.ZERO):
            length = max(1, min(self._cluster, self._header.size - guest))
        if at < self._source.size < at + length:
            text = f"data at {at} ends past the end of the file ({self._source.size})"
            yield Finding("truncated", text, place)
        faults = list(self.claim(at, 1, Owner.DATA, place, times))
        yield from faults
        if not faults and guest is not None:
            yield from self._flag(entry, at, place, "data")

    def snapshots(self) -> Iterator[Finding]:
        """Claim the snapshot table and all that its rows name."""
        at, end = self._header.snapshots_at, self._header.snapshots_at
        try:
            rows = list(layout.snapshots(self._header, self._source, self._limits))
        except ContentError as error:
            yield Finding(error.kind, error.message, error.at)
            return
        for row in rows:
            end = row.end
            yield from self.tables(row.l1_at, row.l1_entries, active=False)
        if rows:
            yield from self.claim(at, end - at, Owner.SNAPSHOTS, 64)

    def bitmaps(self) -> Iterator[Finding]:
        """Claim the bitmap directory, its tables and their clusters."""
        if not self._header.autoclear & layout.BITMAPS:
            return
        try:
            directory = layout.bitmap_directory(self._header, self._source)
            rows = list(layout.bitmaps(self._header, self._source, self._limits))
        except ContentError as error:
            yield Finding(error.kind, error.message, error.at)
            return
        if directory is not None:
            yield from self.claim(directory.at, directory.size, Owner.BITMAPS, directory.at)
        for row in rows:
            at, length = row.table_at, 8 * row.entries
            faults = list(self.claim(at, length, Owner.BITMAPS, at)) if length else []
            yield from faults
            if faults:
                continue
            for place, entry in self._words(row.table_at, row.entries, "bitmap table"):
                if entry & OFFSET:
                    yield from self.claim(entry & OFFSET, self._cluster, Owner.BITMAPS, place)

    def compared(self) -> Iterator[Finding]:
        """Each cluster's references against its refcount, equal neighbours in one finding."""
        if self._found == self._stored:
            return
        pairs = enumerate(zip(self._found, self._stored, strict=True))
        for (found, stored), run in groupby(pairs, key=lambda item: item[1]):
            if found != stored:
                first, count = next(run)[0], 1 + sum(1 for _ in run)
                text = f"{count} clusters have" if count > 1 else "the cluster has"
                text += f" refcount {stored} and {found} references"
                kind = "corrupt" if stored < found else "leak"
                yield Finding(kind, text, first << self._bits)
