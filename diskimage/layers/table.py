"""One integer a block: the tables of VDI, VHD, VHDX, VMDK and qcow2 as a device.

A format says where entries lie (`Flat` or `Nested`) and what one means (`Rule`); everything else is
here: reading tables by page on use, skipping empty ones, clipping, and refusing what lies past the
end of the file.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import compress
from sys import byteorder
from threading import Lock
from typing import Literal, NamedTuple, Protocol

from diskimage.errors import CorruptError, TruncatedError
from diskimage.kernels.columns import Broken, guard
from diskimage.kernels.scan import first_nonzero
from diskimage.kernels.tables import Illegal, Match, Rule, table_runs
from diskimage.layers.gather import filler, gathered
from diskimage.model import Codec, Kind, Runs, Source
from diskimage.parse import read
from diskimage.runs import clip, past, stop_of

__all__ = [
    "Flat", "Illegal", "Match", "Nested", "Pages", "Rule", "TableDevice", "words", "written",
]  # fmt: skip

PAGE = 1 << 16
"""Bytes of a table read at once: 8,192 entries, half a gigabyte of guest at 64 KiB a block."""

_IN_SOURCE = bytes(kind <= Kind.CODED for kind in range(256))  # kind codes of rows with a place

_WHY = {
    Illegal.RESERVED: "reserved bits are set",
    Illegal.ALIGN: "its position is not aligned",
    Illegal.RANGE: "its position does not fit in 63 bits",
    Illegal.SUBCLUSTERS: "a subcluster is allocated and zero at once, or has no place",
}


class Pages:
    """Pieces of the tables of one source, kept while they fit in `room` bytes. Thread-safe."""

    def __init__(self, source: Source, room: int) -> None:
        self.source = source
        self._room = room
        self._held = 0
        self._pages: OrderedDict[tuple[int, int], bytearray] = OrderedDict()
        self._lock = Lock()

    def read(self, at: int, length: int, what: str) -> bytearray:
        """`length` bytes from `at`, not to be changed. TruncatedError names `what` they are."""
        key = at, length
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
                return page
        page = read(self.source, at, length, what)
        with self._lock:
            if key not in self._pages:
                self._pages[key] = page
                self._held += length
            while self._held > self._room and len(self._pages) > 1:
                self._held -= self._pages.popitem(last=False)[0][1]
        return page

    def forget(self) -> None:
        """Read every page anew from now on: the tables were changed."""
        with self._lock:
            self._pages.clear()
            self._held = 0


class Piece(NamedTuple):
    """`blocks` neighbouring blocks from `first`: their entries, which lie at `at`, or nothing."""

    first: int
    blocks: int
    entries: memoryview | None = None
    at: int = 0


class Entries(Protocol):
    """Where the entries of blocks are."""

    def pieces(self, first: int, last: int) -> Iterator[Piece]:
        """The entries of blocks [first, last), ascending and contiguous."""
        ...


class Flat(NamedTuple):
    """One table of `entries` entries of `width` bytes at `at`: an entry a block."""

    pages: Pages
    at: int
    entries: int
    width: int
    what: str = "block map"

    def pieces(self, first: int, last: int) -> Iterator[Piece]:
        """The entries of blocks [first, last), a page at a time."""
        per_page = PAGE // self.width
        while first < last:
            page = first // per_page
            edge = page * per_page
            here = min(per_page, self.entries - edge)
            there = (self.pages.source.size - self.at) // self.width
            if first < there:
                here = min(here, there - edge)  # of a table that is cut, what the file has
            try:
                raw = self.pages.read(self.at + page * PAGE, here * self.width, self.what)
            except TruncatedError as error:
                error.lost = last - first  # entries, which the device makes bytes
                raise
            stop = min(last, edge + here)
            view = memoryview(raw)[(first - edge) * self.width : (stop - edge) * self.width]
            yield Piece(first, stop - first, view, self.at + first * self.width)
            first = stop


class Nested(NamedTuple):
    """A directory whose entries say where tables of `per_table` entries of `width` bytes lie.

    A table is at base + (entry & mask) * scale, a multiple of `align`; none is there where an entry
    is 0 under `mask` and `tag`. Bits of `reserved` have to be clear, those of `tag` set where an
    entry is not 0. `directory` counts entries as if they were blocks.
    """

    directory: Flat
    per_table: int
    width: int
    mask: int
    scale: int = 1
    align: int = 1
    reserved: int = 0
    big_endian: bool = False
    what: str = "table"
    base: int = 0
    tag: int = 0

    def pieces(self, first: int, last: int) -> Iterator[Piece]:
        """The entries of blocks [first, last), a page at a time; empty tables at memory speed."""
        per, step = self.per_table, self.directory.width
        for page in self._directory(first, last):
            assert page.entries is not None
            done = 0
            while done < page.blocks:
                full = min(page.blocks, first_nonzero(page.entries, done * step) // step)
                if full > done:
                    begin, end = (page.first + done) * per, (page.first + full) * per
                    yield _none(max(first, begin), min(last, end))
                if full == page.blocks:
                    break
                tables, table = self._together(page, full, -(-last // per))
                number = page.first + full
                begin, end = max(first, number * per), min(last, (number + tables) * per)
                if table == 0:
                    yield _none(begin, end)
                else:
                    yield from self._entries(table, tables, number * per, begin, end)
                done = full + tables

    def _directory(self, first: int, last: int) -> Iterator[Piece]:
        """The entries of the directory for blocks [first, last)."""
        tables = -(-last // self.per_table)
        try:
            yield from self.directory.pieces(first // self.per_table, tables)
        except TruncatedError as error:
            error.lost = last - max(first, (tables - error.lost) * self.per_table)
            raise

    def _together(self, page: Piece, row: int, stop: int) -> tuple[int, int]:
        """How many tables from entry `row` of a page on lie one behind the other, none of number
        `stop` or over, and where the first is: those of a file are often laid all at once."""
        first = self._placed(page, row)
        length, count = self.per_table * self.width, 1
        most = min(page.blocks - row, stop - page.first - row)
        while first and count < most and self._placed(page, row + count) == first + count * length:
            count += 1
        return count, first

    def _placed(self, page: Piece, row: int) -> int:
        assert page.entries is not None
        step = self.directory.width
        entry = page.entries[row * step : (row + 1) * step]
        order: Literal["big", "little"] = "big" if self.big_endian else "little"
        return self.place(int.from_bytes(entry, order), page.at + row * step)

    def _entries(self, at: int, tables: int, edge: int, first: int, last: int) -> Iterator[Piece]:
        """Blocks [first, last) of `tables` tables at `at`, whose first block is `edge`."""
        flat = Flat(self.directory.pages, at, tables * self.per_table, self.width, self.what)
        for piece in flat.pieces(first - edge, last - edge):
            yield piece._replace(first=piece.first + edge)

    def place(self, entry: int, at: int) -> int:
        """Where the table of a directory entry is, 0 for none. CorruptError."""
        if entry & (self.mask | self.tag | self.reserved) == 0:
            return 0
        table, wrong = self.base + (entry & self.mask) * self.scale, ""
        if entry & self.reserved:
            wrong = "reserved bits are set"
        elif entry & self.tag != self.tag:
            wrong = f"it lacks the bits {self.tag:#x}"
        elif table % self.align:
            wrong = "is not aligned"
        if wrong:
            raise CorruptError(
                f"{self.directory.what} entry {entry:#x}: {wrong}",
                file=self.directory.pages.source.name,
                at=at,
            )
        return table


def _none(first: int, last: int) -> Piece:
    return Piece(first, last - first)


class TableDevice:
    """A device of `size` guest bytes in blocks of `block`, each as `rule` reads its entry.

    `data` holds what DATA and CODED rows name. A block without a table is `empty` (a kind code).
    Blocks that lie past the end of `data` are TruncatedError, never zeros; those that lie before
    `floor`, where header and tables are, CorruptError.
    """

    def __init__(
        self,
        *,
        size: int,
        block: int,
        data: Source,
        entries: Entries,
        rule: Rule,
        empty: int,
        codec: Codec | None = None,
        tables: Source | None = None,
        info: Mapping[str, object] | None = None,
        floor: int = 0,
    ) -> None:
        self.size, self.block, self._floor = size, block, floor
        self.info: Mapping[str, object] = info or {}
        self._data, self._tables = data, tables or data
        self._entries, self._rule, self._empty, self._codec = entries, rule, empty, codec

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop). Raises CorruptError, TruncatedError for what is in it."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < stop:
            yield from gathered(self._clipped(start, stop))

    def _clipped(self, start: int, stop: int) -> Iterator[Runs]:
        first, last = start // self.block, -(-stop // self.block)
        for piece in self._pieces(first, last, start, stop):
            if piece.entries is None:
                begin = max(start, piece.first * self.block)
                end = min(stop, (piece.first + piece.blocks) * self.block)
                yield filler(begin, end, self._empty)
                continue
            for runs in self._read(piece):
                part = clip(runs, start, stop)
                self._inside(part)
                yield part

    def _pieces(self, first: int, last: int, start: int, stop: int) -> Iterator[Piece]:
        """The entries of blocks [first, last), of which [start, stop) is asked."""
        try:
            yield from self._entries.pieces(first, last)
        except TruncatedError as error:
            error.lost = max(0, min(error.lost * self.block, stop - start) - start % self.block)
            raise

    def _read(self, piece: Piece) -> Iterator[Runs]:
        rule, taken = self._rule, 0
        assert piece.entries is not None
        while taken < piece.blocks:
            view = piece.entries[taken * rule.width :]
            found = table_runs(rule, view, piece.first + taken, self.block, self.size)
            taken += found.taken
            if len(found.runs):
                runs = replace(
                    found.runs, source=self._data, codec=self._codec,
                    chunk=self.block if self._codec else 0,
                )  # fmt: skip
                self._above_floor(runs)
                yield runs
            if found.illegal:
                raise self._illegal(piece, taken, found.illegal)

    def _above_floor(self, runs: Runs) -> None:
        if self._floor:
            stored = compress(runs.at, runs.kind.tobytes().translate(_IN_SOURCE))
            if (least := min(stored, default=self._floor)) < self._floor:
                text = f"a block is stored at {least}, the data begin at {self._floor}"
                raise CorruptError(text, file=self._data.name, at=least)

    def _inside(self, runs: Runs) -> None:
        """What is asked for lies in the file; of a block that is cut, what is there is given."""
        row, broken = guard(runs, runs.start[0], stop_of(runs), self._data.size)
        if broken == Broken.NONE:
            return
        at, start = runs.at[row], runs.start[row]
        kept = max(0, self._data.size - at) if runs.kind[row] == Kind.DATA else 0
        assert broken == Broken.OUTSIDE, broken
        error = TruncatedError(
            f"guest byte {start + kept} is stored at {at + kept}, "
            f"the file has {self._data.size} bytes",
            file=self._data.name,
            at=at + kept,
            remedy="the file is cut short: copy or download it again",
        )
        error.lost = past(runs, row, self._data.size)
        raise error

    def _illegal(self, piece: Piece, taken: int, illegal: Illegal) -> CorruptError:
        assert piece.entries is not None
        width = self._rule.width
        raw = piece.entries[taken * width : (taken + 1) * width]
        entry = int.from_bytes(raw, "big" if self._rule.big_endian else "little")
        return CorruptError(
            f"the entry of guest byte {(piece.first + taken) * self.block} "
            f"({entry:#x}): {_WHY[illegal]}",
            file=self._tables.name,
            at=piece.at + taken * width,
        )


def words(raw: bytes | bytearray, code: str, *, big_endian: bool = False) -> array[int]:
    """Stored integers as an array of type `code`: I for four bytes, Q for eight."""
    values = array(code, bytes(raw))
    if big_endian == (byteorder == "little"):
        values.byteswap()
    return values


def written(values: array[int], *, big_endian: bool = False) -> bytes:
    """An array of integers as it is stored."""
    return words(values.tobytes(), values.typecode, big_endian=big_endian).tobytes()
