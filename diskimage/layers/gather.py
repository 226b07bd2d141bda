"""Many small blocks of runs made few: a block costs its consumer far more than a row."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from diskimage.limits import RUNS_ROWS
from diskimage.model import HOLE, Codec, Kind, Records, Runs, Source
from diskimage.runs import advance

ENOUGH = RUNS_ROWS // 4
"""A block of so many rows is passed on as it is."""


def gathered(pieces: Iterable[Runs]) -> Iterator[Runs]:
    """`pieces` in blocks of at most 4,096 rows, neighbours of one shape in one, joined."""
    block: _Block | None = None
    for piece in pieces:
        if block is not None and not block.takes(piece):
            yield block.runs()
            block = None
        if block is None and len(piece) >= ENOUGH:
            yield piece
            continue
        if block is None:
            block = _Block()
        block.add(piece)
    if block is not None:
        yield block.runs()


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

    def __init__(self) -> None:
        self._start, self._length, self._at = array("q"), array("q"), array("q")
        self._kind = array("B")
        self._stored, self._skip = array("q"), array("q")
        self._shape: tuple[Source | None, Codec | None, int, Records | None] | None = None

    def takes(self, piece: Runs) -> bool:
        if len(self._start) + len(piece) > RUNS_ROWS:
            return False
        if self._shape is None or min(piece.kind) > Kind.CODED:
            return True
        source, codec, chunk, records = self._shape
        if piece.source is not source or piece.codec is not codec or piece.chunk != chunk:
            return False
        return piece.records is records or piece.records == records

    def add(self, piece: Runs) -> None:
        joint = len(self._start)
        self._level(self._stored, piece.stored, joint)
        self._level(self._skip, piece.skip, joint)
        self._start += piece.start
        self._length += piece.length
        self._at += piece.at
        self._kind += piece.kind
        rows = len(self._start)
        for mine, theirs in ((self._stored, piece.stored), (self._skip, piece.skip)):
            mine.extend(theirs)
            self._level(mine, mine, rows)
        if self._shape is None and min(piece.kind) <= Kind.CODED:
            self._shape = piece.source, piece.codec, piece.chunk, piece.records
        if joint and self._continues(joint):
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
        skip = self._skip or bytes(row + 1)
        length = self._length[row - 1]
        if kind == Kind.CODED:
            same = self._at[row] == self._at[row - 1] and self._stored[row] == self._stored[row - 1]
            return same and skip[row] == skip[row - 1] + length
        records = self._shape[3] if self._shape else None
        expected = advance(self._at[row - 1], skip[row - 1], length, records)
        return expected == (self._at[row], skip[row])

    def runs(self) -> Runs:
        source, codec, chunk, records = self._shape or (None, None, 0, None)
        return Runs(
            self._start, self._length, self._at, self._kind, self._stored, self._skip,
            source, codec, chunk, records,
        )  # fmt: skip
