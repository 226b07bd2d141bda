"""Many small blocks of runs made few: a block costs its consumer far more than a row."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace

from diskimage.limits import RUNS_ROWS
from diskimage.model import HOLE, Kind, Runs
from diskimage.runs import following

ENOUGH = RUNS_ROWS // 4
"""A block of so many rows is passed on as it is."""


def gathered(pieces: Iterable[Runs]) -> Iterator[Runs]:
    """`pieces` in blocks of at most 4,096 rows, neighbours of one shape in one, joined."""
    held: Runs | None = None  # a piece that waits for its neighbour
    block: _Block | None = None  # held pieces, once there are two
    for piece in pieces:
        if block is not None:
            if block.takes(piece):
                block.add(piece)
                continue
            yield block.runs()
            block = None
        elif held is not None:
            if len(held) < ENOUGH and _fit(held, piece):
                block = _Block(held)
                block.add(piece)
                continue
            yield held
        held = piece
    if block is not None:
        yield block.runs()
    elif held is not None:
        yield held


def _placed(piece: Runs) -> bool:
    """Whether a row is in a source."""
    return min(piece.kind) <= Kind.CODED


def _same(a: Runs, b: Runs) -> bool:
    """Whether two blocks share source, codec and record shape."""
    if a.source is not b.source or a.codec is not b.codec or a.chunk != b.chunk:
        return False
    return a.records is b.records or a.records == b.records


def _fit(a: Runs, b: Runs) -> bool:
    """Whether two pieces may be one block."""
    if len(a) + len(b) > RUNS_ROWS:
        return False
    return _same(a, b) or not _placed(a) or not _placed(b)


def filler(start: int, stop: int, kind: int) -> Runs:
    """One row without a place: a hole, zeros or absence."""
    none = array("q")
    return Runs(
        array("q", [start]), array("q", [stop - start]), array("q", [0]), array("B", [kind]),
        none, none,
    )  # fmt: skip


def hole(start: int, stop: int) -> Runs:
    """Zeros that take no space."""
    return filler(start, stop, HOLE)


class _Block:
    """Columns that grow by whole pieces."""

    def __init__(self, first: Runs) -> None:
        self._start, self._length, self._at = first.start[:], first.length[:], first.at[:]
        self._kind, self._stored, self._skip = first.kind[:], first.stored[:], first.skip[:]
        self._shape = first if _placed(first) else None  # the piece that set source and codec

    def takes(self, piece: Runs) -> bool:
        if len(self._start) + len(piece) > RUNS_ROWS:
            return False
        return self._shape is None or _same(self._shape, piece) or not _placed(piece)

    def add(self, piece: Runs) -> None:
        joint = len(self._start)
        rows = joint + len(piece)
        self._start += piece.start
        self._length += piece.length
        self._at += piece.at
        self._kind += piece.kind
        for mine, theirs in ((self._stored, piece.stored), (self._skip, piece.skip)):
            self._level(mine, theirs, joint)
            mine.extend(theirs)
            self._level(mine, mine, rows)
        if self._shape is None and _placed(piece):
            self._shape = piece
        if self._continues(joint):
            self._length[joint - 1] += self._length[joint]
            for column in (self._start, self._length, self._at, self._kind):
                del column[joint]
            for column in (self._stored, self._skip):
                if column:
                    del column[joint]

    @staticmethod
    def _level(mine: array[int], theirs: array[int], rows: int) -> None:
        """An empty column means zeros: write them where one of the two has values."""
        if theirs:
            mine.frombytes(bytes(8 * (rows - len(mine))))

    def _continues(self, row: int) -> bool:
        kind = self._kind[row]
        if kind != self._kind[row - 1]:
            return False
        if kind not in (Kind.DATA, Kind.CODED):
            return True
        skip, stored = self._skip or bytes(row + 1), self._stored or bytes(row + 1)
        records = self._shape.records if self._shape else None
        expected = following(
            kind, self._at[row - 1], stored[row - 1], skip[row - 1], self._length[row - 1], records
        )
        return expected == (self._at[row], stored[row], skip[row])

    def runs(self) -> Runs:
        made = Runs(
            self._start, self._length, self._at, self._kind, self._stored, self._skip
        )  # fmt: skip
        like = self._shape
        if like is None:
            return made
        return replace(
            made, source=like.source, codec=like.codec, chunk=like.chunk, records=like.records
        )
