"""Extents in columns: built, cut, moved, looked at.

A format yields `Extent` values through `pack`, or whole columns where a table has them. Neighbours
that could be one are one inside a block of columns; `extents` joins across blocks too.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from diskimage.kernels import columns
from diskimage.limits import RUNS_ROWS
from diskimage.model import HOLE, Codec, Device, Extent, Kind, Records, Runs, Source


def pack(extents: Iterable[Extent], chunk: int = 0) -> Iterator[Runs]:
    """`extents`, neighbours joined, as columns; a CODED one decodes to `chunk` bytes."""
    block: _Block | None = None
    for extent in joined(extents):
        if block is None or not block.takes(extent):
            if block is not None:
                yield block.runs(chunk)
            block = _Block()
        block.add(extent)
    if block is not None:
        yield block.runs(chunk)


class _Block:
    """Columns under construction."""

    def __init__(self) -> None:
        self.rows: list[Extent] = []
        self.placed: Extent | None = None  # the row that set source, codec and record shape

    def takes(self, extent: Extent) -> bool:
        if len(self.rows) >= RUNS_ROWS:
            return False
        if self.placed is None or extent.kind not in (Kind.DATA, Kind.CODED):
            return True
        first = self.placed
        if first.source is not extent.source or first.records != extent.records:
            return False
        return first.codec is extent.codec or None in (first.codec, extent.codec)

    def add(self, extent: Extent) -> None:
        self.rows.append(extent)
        placed = self.placed
        if extent.kind in (Kind.DATA, Kind.CODED) and (placed is None or placed.codec is None):
            self.placed = extent

    def runs(self, chunk: int) -> Runs:
        rows, placed = self.rows, self.placed
        coded = any(row.kind == Kind.CODED for row in rows)
        cut = coded or any(row.skip for row in rows)
        return Runs(
            start=array("q", [row.start for row in rows]),
            length=array("q", [row.length for row in rows]),
            at=array("q", [row.at for row in rows]),
            kind=array("B", [HOLE if row.hole else row.kind for row in rows]),
            stored=array("q", [row.stored for row in rows] if coded else []),
            skip=array("q", [row.skip for row in rows] if cut else []),
            source=placed.source if placed else None,
            codec=placed.codec if placed else None,
            chunk=chunk,
            records=placed.records if placed else None,
        )


def joined(extents: Iterable[Extent]) -> Iterator[Extent]:
    """`extents` with neighbours that could be one made one."""
    last: Extent | None = None
    for extent in extents:
        if last is not None and _follows(last, extent):
            last = last._replace(length=last.length + extent.length)
            continue
        if last is not None:
            yield last
        last = extent
    if last is not None:
        yield last


def _follows(a: Extent, b: Extent) -> bool:
    if a.kind != b.kind or a.hole != b.hole:
        return False
    if a.kind not in (Kind.DATA, Kind.CODED):
        return True
    if a.source is not b.source or a.records != b.records or a.codec is not b.codec:
        return False
    expected = following(a.kind, a.at, a.stored, a.skip, a.length, a.records)
    return expected == (b.at, b.stored, b.skip)


def following(
    kind: int, at: int, stored: int, skip: int, length: int, records: Records | None
) -> tuple[int, int, int]:
    """(at, stored, skip) of the DATA or CODED row that would go on where one of `length` ends."""
    if kind == Kind.CODED:
        return at, stored, skip + length
    at, skip = advance(at, skip, length, records)
    return at, 0, skip


def advance(at: int, skip: int, by: int, records: Records | None) -> tuple[int, int]:
    """(at, skip) of the byte `by` guest bytes after that at (at, skip)."""
    if records is None:
        return at + by, 0
    whole, skip = divmod(skip + by, records.take)
    return at + whole * records.pitch, skip


def view(runs: Runs) -> Iterator[Extent]:
    """The rows of one block, as they stand."""
    stored, skip = runs.stored, runs.skip
    for i, code in enumerate(runs.kind):
        kind = Kind.ZERO if code == HOLE else Kind(code)
        placed = kind in (Kind.DATA, Kind.CODED)
        yield Extent(
            runs.start[i], runs.length[i], kind,
            source=runs.source if placed else None,
            at=runs.at[i] if placed else 0,
            stored=stored[i] if stored and kind == Kind.CODED else 0,
            skip=skip[i] if skip and placed else 0,
            records=runs.records if kind == Kind.DATA else None,
            codec=runs.codec if kind == Kind.CODED else None,
            hole=code == HOLE,
        )  # fmt: skip


def extents(device: Device, start: int = 0, stop: int | None = None) -> Iterator[Extent]:
    """The extents of [start, stop) of `device`, one at a time."""
    return joined(row for runs in device.runs(start, stop) for row in view(runs))


def stop_of(runs: Runs) -> int:
    """The guest byte after the last row."""
    return runs.start[-1] + runs.length[-1]


def past(runs: Runs, row: int, size: int) -> int:
    """Guest bytes of the rows from `row` on that all end behind byte `size` of their source.

    Of a row of plain bytes that begins before it no more than is needed to say so.
    """
    first = row
    while row < len(runs) and runs.kind[row] in (Kind.DATA, Kind.CODED):
        plain = runs.kind[row] == Kind.DATA
        if runs.at[row] < size and (plain or runs.at[row] + runs.stored[row] <= size):
            break
        row += 1
    return sum(runs.length[first:row])


def clip(runs: Runs, start: int, stop: int) -> Runs:
    """The part of `runs` inside [start, stop), which must overlap it."""
    first, last = runs.start[0], stop_of(runs)
    if start <= first and stop >= last:
        return runs
    i = max(0, bisect_right(runs.start, start) - 1)
    j = bisect_left(runs.start, stop)
    cut = Runs(
        runs.start[i:j], runs.length[i:j], runs.at[i:j], runs.kind[i:j], runs.stored[i:j],
        runs.skip[i:j] if runs.skip else array("q", bytes(8 * (j - i))),
        runs.source, runs.codec, runs.chunk, runs.records,
    )  # fmt: skip
    over = stop_of(cut) - stop
    if over > 0:
        cut.length[-1] -= over
    under = start - cut.start[0]
    if under > 0:
        _cut_front(cut, under)
    return cut


def _cut_front(runs: Runs, by: int) -> None:
    runs.start[0] += by
    runs.length[0] -= by
    if runs.kind[0] == Kind.CODED:
        runs.skip[0] += by
    elif runs.kind[0] == Kind.DATA:
        runs.at[0], runs.skip[0] = advance(runs.at[0], runs.skip[0], by, runs.records)


def shift(runs: Runs, by: int) -> Runs:
    """`runs` with every start moved `by` guest bytes."""
    if by == 0:
        return runs
    return Runs(
        columns.shift(runs.start, by), runs.length, runs.at, runs.kind, runs.stored, runs.skip,
        runs.source, runs.codec, runs.chunk, runs.records,
    )  # fmt: skip


def whole(
    size: int, source: Source, at: int = 0, records: Records | None = None
) -> Iterator[Extent]:
    """One DATA extent of `size` guest bytes, none where it is empty."""
    if size:
        yield Extent(0, size, Kind.DATA, source=source, at=at, records=records)


def of_codec(runs: Runs) -> Codec:
    """The codec of a block with CODED rows."""
    assert runs.codec is not None
    return runs.codec
