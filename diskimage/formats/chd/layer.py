"""A compressed child as a layer over its parent: hunks that are the parent's at the same place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.formats.chd.hunks import Hunks, Kind, Row
from diskimage.limits import RUNS_ROWS
from diskimage.model import Extent, Kind as Of, Runs
from diskimage.runs import pack


class Layer:
    """What a child itself holds. A hunk of its parent at the same place is ABSENT; one of another
    place is read like the child's own, where the parent was opened, and is ABSENT else."""

    def __init__(
        self, hunks: Hunks, block: int, info: Mapping[str, object], below: int | None
    ) -> None:
        self.size, self.block, self.info = hunks.size, block, info
        self._hunks, self._below = hunks, below  # bytes of the parent; None: it was not opened

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop). Raises what expanding the map does."""
        stop = self.size if stop is None else min(stop, self.size)
        return pack(self._extents(start, stop))

    def _extents(self, start: int, stop: int) -> Iterator[Extent]:
        first, last = start // self.block, -(-stop // self.block)
        for low in range(first, last if start < stop else first, RUNS_ROWS):
            rows = self._hunks.rows(low, min(last, low + RUNS_ROWS))
            for index, row in enumerate(rows, low):
                at, end = max(start, index * self.block), min(stop, (index + 1) * self.block)
                if self._absent(index, row):
                    yield Extent(at, end - at, Of.ABSENT)
                else:
                    yield Extent(at, end - at, Of.DATA, self._hunks, at)

    def _absent(self, index: int, row: Row) -> bool:
        if self._below is None:
            row = self._hunks.copied(index, row) if row.kind == Kind.COPY else row
            return row.kind == Kind.PARENT
        stop = min(self.size, (index + 1) * self.block)
        same = row.kind == Kind.PARENT and row.place == index * self.block
        return same and stop <= self._below  # past its end it is an error, never zeros
