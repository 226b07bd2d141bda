"""The L1 and L2 tables of a file that is written in place: what changes is held until it is put."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from diskimage.formats.qcow2.layout import COPIED, OFFSET, Header
from diskimage.layers.table import Nested, Piece
from diskimage.model import Barrier, Plan, Put, Source
from diskimage.parse import read
from diskimage.ranges import Ranges

UNIT = 512
"""What of an old table is put: the sectors that changed, neighbours at once."""


class Entry(NamedTuple):
    """What an L2 table says of the guest cluster `number`; `bitmap` with extended L2 alone."""

    number: int
    word: int = 0
    bitmap: int = 0


class _Table:
    """An L2 table in memory. `fresh`: at a place that nothing refers to yet."""

    def __init__(self, at: int, content: bytearray, *, fresh: bool) -> None:
        self.at, self.content, self.fresh = at, content, fresh
        self.sectors: set[int] = set()


class Tables:
    """Entries for a `TableDevice`: those of the file, and over them what was changed."""

    def __init__(self, header: Header, nested: Nested, source: Source) -> None:
        self._nested, self._source = nested, source
        self._header = header
        self._per, self._width = header.per_table, header.entry
        self._changed: dict[int, _Table] = {}
        self._placed: dict[int, int] = {}  # entries of the L1 table that are to be put

    @property
    def held(self) -> int:
        """Bytes of tables in memory."""
        return len(self._changed) * self._header.cluster

    def pieces(self, first: int, last: int) -> Iterator[Piece]:
        """The entries of clusters [first, last)."""
        inside = range(first // self._per, -(-last // self._per))
        changed = (
            [index for index in inside if index in self._changed]
            if len(inside) <= len(self._changed)
            else sorted(index for index in self._changed if index in inside)
        )
        for index in changed:
            begin = max(first, index * self._per)
            end = min(last, (index + 1) * self._per)
            if first < begin:
                yield from self._nested.pieces(first, begin)
            table, skip = self._changed[index], begin % self._per * self._width
            view = memoryview(table.content)[skip : skip + (end - begin) * self._width]
            yield Piece(begin, end - begin, view, table.at + skip)
            first = end
        if first < last:
            yield from self._nested.pieces(first, last)

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        """What is said of clusters [first, last), one by one."""
        for piece in self.pieces(first, last):
            for row in range(piece.blocks):
                if piece.entries is None:
                    yield Entry(piece.first + row)
                    continue
                raw = piece.entries[row * self._width : (row + 1) * self._width]
                word, bitmap = int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big")
                yield Entry(piece.first + row, word, bitmap)

    def stretches(self, first: int, last: int) -> Iterator[tuple[int, int, bool]]:
        """(first, last, whether there is a table) of clusters [first, last)."""
        for piece in self.pieces(first, last):
            yield piece.first, piece.first + piece.blocks, piece.entries is not None

    def holds(self, index: int) -> bool:
        """Whether the L2 table `index` is in memory."""
        return index in self._changed

    def above(self, index: int) -> tuple[int, int]:
        """The L1 entry of table `index` (0: no table) and the place of that table. CorruptError."""
        entry = self._placed.get(index)
        if entry is not None:
            return entry, entry & OFFSET
        piece = next(self._nested.directory.pieces(index, index + 1))
        assert piece.entries is not None
        entry = int.from_bytes(piece.entries, "big")
        return entry, self._nested.place(entry, piece.at)

    def load(self, index: int, at: int) -> None:
        """Hold the table `index` from `at`, where it stays."""
        content = read(self._source, at, self._header.cluster, "L2 table")
        self._changed[index] = _Table(at, content, fresh=False)

    def move(self, index: int, at: int, to: int) -> None:
        """Hold the table `index` from `at`, or an empty one where that is 0; it goes to `to`."""
        length = self._header.cluster
        content = read(self._source, at, length, "L2 table") if at else bytearray(length)
        self._changed[index] = _Table(to, content, fresh=True)
        self._placed[index] = to | COPIED

    def set(self, entry: Entry) -> None:
        """Change an entry, in a table that is held."""
        table = self._changed[entry.number // self._per]
        at = entry.number % self._per * self._width
        raw = entry.word.to_bytes(8, "big") + entry.bitmap.to_bytes(8, "big")
        table.content[at : at + self._width] = raw[: self._width]
        table.sectors.add(at // UNIT)

    def moved(self, header: Header) -> None:
        """The L1 table is where `header` says, as long as that says; nothing is held."""
        directory = self._nested.directory._replace(at=header.l1_at, entries=header.tables)
        self._header, self._nested = header, self._nested._replace(directory=directory)
        directory.pages.forget()

    def plan(self) -> Plan:
        """Put what changed: tables before the entries that name them. Then nothing is held."""
        for table in self._changed.values():
            if table.fresh:
                yield Put(table.at, table.content)
            else:
                for start, length in Ranges((sector * UNIT, UNIT) for sector in table.sectors):
                    yield Put(table.at + start, table.content[start : start + length])
        if self._changed:
            yield Barrier()
        for index, entry in sorted(self._placed.items()):
            yield Put(self._header.l1_at + 8 * index, entry.to_bytes(8, "big"))
        if self._placed:
            yield Barrier()
        self._changed.clear()
        self._placed.clear()
        self._nested.directory.pages.forget()
