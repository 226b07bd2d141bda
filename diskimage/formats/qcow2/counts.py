"""Refcounts of a file that is written in place: which clusters are free, and what becomes of them.

A cluster is taken at once and given back late: a count that rises is put before anything may refer
to its cluster, one that falls only when nothing refers to it any more (QEMU, block/qcow2-refcount).
A crash between the two leaves clusters that nobody uses, never ones that two use.
"""

from __future__ import annotations

from array import array

from diskimage.errors import CorruptError, LimitError
from diskimage.formats.qcow2.layout import OFFSET, Header
from diskimage.formats.qcow2.refcounts import CODES, packed, unpacked
from diskimage.layers.claims import Claims
from diskimage.layers.gather import hole
from diskimage.layers.table import words, written
from diskimage.limits import Limits
from diskimage.model import Barrier, Copy, Plan, Put, Source
from diskimage.parse import read
from diskimage.ranges import Ranges

TABLE_AT = 48  # of the header: where the refcount table is, and its clusters


class Counts:
    """The counts of a file, by cluster; blocks are read as they are asked for.

    `claims` are the clusters that hold tables: one of these whose count is 0 is never taken.
    """

    def __init__(self, header: Header, source: Source, limits: Limits, claims: Claims) -> None:
        self._source, self._limits, self._claims = source, limits, claims
        self._order, self._bits = header.refcount_order, header.cluster_bits
        self._cluster = header.cluster
        self._per = self._cluster * 8 >> self._order  # counts of a block
        self._at, length = header.refcounts_at, header.refcount_clusters * self._cluster
        if length > limits.refcount_table:
            text = f"a refcount table of {length} bytes, over refcount_table"
            raise LimitError(f"{text} {limits.refcount_table}", file=source.name, at=56)
        raw = read(source, self._at, length, "refcount table")
        self._table = words(raw, "Q", big_endian=True)
        self._blocks: dict[int, array[int]] = {}
        self._changed: set[int] = set()
        self._named: set[int] = set()  # blocks that the table in the file does not name yet
        self._moved = False  # the table itself is to be put, and the header
        self._freed: list[int] = []  # clusters with a reference less, after the next publication
        self._cursor = 0  # no cluster before is free

    @property
    def table(self) -> array[int]:
        """Where the blocks are, 0 for none."""
        return self._table

    @property
    def held(self) -> int:
        """Bytes of changed blocks in memory."""
        return len(self._changed) * self._cluster

    def count(self, at: int) -> int:
        """References of the cluster at a host byte."""
        number, skip = divmod(at >> self._bits, self._per)
        block = self._block(number)
        return 0 if block is None else block[skip]

    def take(self) -> int:
        """A free cluster, counted once from now on: its host byte."""
        while True:
            number, skip = divmod(self._cursor, self._per)
            block = self._block(number)
            if block is None:
                self._extend(number, 0)
                continue
            try:
                skip = block.index(0, skip)
            except ValueError:
                self._cursor = (number + 1) * self._per
                if number not in self._changed:
                    del self._blocks[number]
                continue
            self._cursor = number * self._per + skip + 1
            return self._taken(number, skip)

    def take_row(self, clusters: int) -> int:
        """Free clusters one behind the other, counted once from now on: the first's host byte."""
        if clusters >= self._per:  # no block counts so many beside itself
            last = max((number for number, at in enumerate(self._table) if at), default=-1)
            return self._extend(last + 1, clusters)
        row = [self.take()]
        while len(row) < clusters:
            at = self.take()
            if at != row[-1] + self._cluster:
                for passed in row:
                    self._again(passed)
                row.clear()
            row.append(at)
        return row[0]

    def free(self, at: int, length: int = 1) -> None:
        """One reference less to each cluster of [at, at + length), once that is published."""
        last = (at + length - 1) >> self._bits
        self._freed.extend(range(at >> self._bits, last + 1))

    def plan_raised(self) -> Plan:
        """What was taken is counted in the file, before anything may refer to it."""
        if not self._changed:
            return
        yield from self._put()
        if self._moved:
            yield Put(self._at, written(self._table, big_endian=True))
        yield Barrier()
        if self._moved:
            clusters = 8 * len(self._table) >> self._bits
            yield Put(TABLE_AT, self._at.to_bytes(8, "big") + clusters.to_bytes(4, "big"))
        for number in () if self._moved else sorted(self._named):
            yield Put(self._at + 8 * number, self._table[number].to_bytes(8, "big"))
        if self._moved or self._named:
            yield Barrier()
        self._moved = False
        self._named.clear()

    def plan_lowered(self) -> Plan:
        """What nothing refers to any more, by what is durable, is free, and a hole."""
        free: list[int] = []
        for cluster in self._freed:
            number, skip = divmod(cluster, self._per)
            block = self._block(number)
            if block is None or block[skip] == 0:
                raise self._corrupt(cluster, "was in use")
            block[skip] -= 1
            self._changed.add(number)
            if block[skip] == 0:
                free.append(cluster)
                self._claims.give(cluster << self._bits)
        self._freed.clear()
        yield from self._put()
        for start, length in Ranges((cluster, 1) for cluster in free):
            yield Copy(iter((hole(0, length << self._bits),)), start << self._bits)
        self._cursor = min([self._cursor, *free])
        if len(self._blocks) * self._cluster > self._limits.table_resident:
            self._blocks.clear()

    def _put(self) -> Plan:
        for number in sorted(self._changed):
            yield Put(self._table[number], packed(self._blocks[number], self._order))
        self._changed.clear()

    def _again(self, at: int) -> None:
        """Give back a cluster that was taken, and that nothing was made to refer to."""
        number, skip = divmod(at >> self._bits, self._per)
        self._blocks[number][skip] = 0

    def _taken(self, number: int, skip: int) -> int:
        cluster = number * self._per + skip
        if self._claims.holds(cluster << self._bits):
            raise self._corrupt(cluster, "holds a table")
        self._blocks[number][skip] = 1
        self._changed.add(number)
        return cluster << self._bits

    def _corrupt(self, cluster: int, what: str) -> CorruptError:
        return CorruptError(
            f"the cluster at {cluster << self._bits} {what}, its refcount is 0",
            file=self._source.name, at=cluster << self._bits,
            remedy="mend its refcounts first, with qemu-img check -r all",
        )  # fmt: skip

    def _block(self, number: int) -> array[int] | None:
        """The counts of a block, None where there is none."""
        if number in self._blocks:
            return self._blocks[number]
        at = self._table[number] if number < len(self._table) else 0
        if at == 0:
            return None
        if at & ~OFFSET or at % self._cluster:
            text = f"refcount table entry {at:#x} is not aligned, or reserved bits are set"
            raise CorruptError(text, file=self._source.name, at=self._at + 8 * number)
        raw = read(self._source, at, self._cluster, "refcount block")
        block = unpacked(raw, self._order, self._per)
        self._blocks[number] = block
        return block

    def _extend(self, number: int, further: int) -> int:
        """New blocks from `number` on, in the first clusters that they count; behind them a larger
        table where they do not fit in that which is there, and `further` clusters, whose place is
        answered. What has no block is free."""
        blocks, table, more = 1, 0, -1
        while more != blocks + table:
            more = blocks + table
            blocks = -(-(more + further) // self._per)
            if number + blocks > len(self._table):  # and room for a quarter more
                table = -(-10 * (number + blocks) // self._cluster)
        first = number * self._per
        for cluster in range(first, first + more + further):
            if self._claims.holds(cluster << self._bits):
                raise self._corrupt(cluster, "holds a table")
        if table:
            self._move((first + blocks) << self._bits, table)
        counts = array("Q", [1]) * (more + further)
        for row in range(blocks):
            part = counts[row * self._per : (row + 1) * self._per]
            part.extend(array("Q", bytes(8 * (self._per - len(part)))))
            self._blocks[number + row] = array(CODES.get(self._order, "B"), part)
            self._table[number + row] = (first + row) << self._bits
            self._changed.add(number + row)
            self._named.add(number + row)
        return (first + more) << self._bits

    def _move(self, at: int, clusters: int) -> None:
        """The table is going to be at `at`, and longer."""
        length = clusters * self._cluster
        if length > self._limits.refcount_table:
            text = f"a refcount table of {length} bytes, over refcount_table"
            raise LimitError(f"{text} {self._limits.refcount_table}", file=self._source.name)
        self.free(self._at, 8 * len(self._table))
        self._table.extend(array("Q", bytes(length - 8 * len(self._table))))
        self._at, self._moved = at, True
