"""A stream of runs cut into windows: what one task reads, and the zeros nobody has to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from diskimage.model import HOLE, Kind, Runs
from diskimage.runs import clip, stop_of

BLANK = frozenset({HOLE, int(Kind.ZERO)})


class Window(NamedTuple):
    """Guest bytes [start, stop) and the runs that cover them; none for a window of zeros."""

    start: int
    stop: int
    parts: tuple[Runs, ...] = ()

    @property
    def length(self) -> int:
        """Guest bytes of the window."""
        return self.stop - self.start

    @property
    def stored(self) -> int:
        """Those of them that are not known to be zeros."""
        return sum(stop - start for start, stop, blank in stretches(self.parts) if not blank)


def windows(blocks: Iterable[Runs], size: int, grain: int = 1) -> Iterator[Window]:
    """`blocks` cut into windows of about `size` bytes; zeros of `size` or more stand alone.

    Borders fall on multiples of `grain` from the first byte (except at the very end), and not
    inside a CODED row unless `grain` forces it. `size` is a multiple of `grain`.
    """
    cutter = _Cutter(size, grain)
    for runs in blocks:
        yield from cutter.feed(runs)
    yield from cutter.flush()


class _Cutter:
    """Parts gathered for the window under way."""

    def __init__(self, size: int, grain: int) -> None:
        self.size, self.grain = size, grain
        self.origin: int | None = None
        self.start = self.at = 0
        self.parts: list[Runs] = []

    def feed(self, runs: Runs) -> Iterator[Window]:
        if self.origin is None:
            self.origin = self.start = self.at = runs.start[0]
        for row in self._blanks(runs):
            yield from self._read(runs, runs.start[row])
            yield from self._blank(runs, row)
        yield from self._read(runs, stop_of(runs))

    def _blanks(self, runs: Runs) -> list[int]:
        """Rows of zeros long enough to stand alone."""
        if len(runs) == 1:
            return [0] if runs.kind[0] in BLANK and runs.length[0] >= self.size else []
        rows = zip(runs.kind, runs.length, strict=True)
        return [i for i, (kind, n) in enumerate(rows) if n >= self.size and kind in BLANK]

    def _blank(self, runs: Runs, row: int) -> Iterator[Window]:
        start, stop = runs.start[row], runs.start[row] + runs.length[row]
        first, last = self._up(start), self._down(stop)
        if last - first < self.grain:
            yield from self._read(runs, stop)
            return
        yield from self._read(runs, first)
        yield from self.flush()
        yield Window(first, last)
        self.start = self.at = last
        yield from self._read(runs, stop)

    def _read(self, runs: Runs, stop: int) -> Iterator[Window]:
        while self.at < stop:
            end = min(self.start + self.size, stop)
            if end == self.start + self.size and end < stop_of(runs):
                end = self._whole_chunk(runs, end, stop)
            self.parts.append(clip(runs, self.at, end))
            self.at = end
            if end - self.start >= self.size:
                yield from self.flush()

    def _whole_chunk(self, runs: Runs, end: int, stop: int) -> int:
        """`end` moved behind the CODED row it would cut, where the grain allows."""
        if runs.codec is None:
            return end
        tail = clip(runs, end, end + 1)
        if tail.kind[0] != Kind.CODED or not tail.skip or tail.skip[0] == 0:
            return end
        row = bisect_right(runs.start, end) - 1
        moved = min(stop, runs.start[row] + runs.length[row])
        return moved if self._down(moved) == moved else end

    def flush(self) -> Iterator[Window]:
        """The window under way, if it holds anything."""
        if self.parts:
            yield Window(self.start, self.at, tuple(self.parts))
            self.parts = []
        self.start = self.at

    def _up(self, at: int) -> int:
        assert self.origin is not None
        return self.origin - (self.origin - at) // self.grain * self.grain

    def _down(self, at: int) -> int:
        assert self.origin is not None
        return self.origin + (at - self.origin) // self.grain * self.grain


def stretches(parts: Iterable[Runs]) -> Iterator[tuple[int, int, bool]]:
    """(start, stop, blank) of `parts`: neighbouring rows of zeros, or of anything else, as one."""
    start = stop = -1
    blank = False
    for runs in parts:
        for first, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if first == stop and (kind in BLANK) == blank:
                stop += length
                continue
            if stop > start:
                yield start, stop, blank
            start, stop, blank = first, first + length, kind in BLANK
    if stop > start:
        yield start, stop, blank
