"""A device of a few extents that are known when it is made: plain bytes, records, zeros, gaps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from diskimage.model import Extent, Kind, Runs
from diskimage.runs import advance, joined, pack

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Placed:
    """Guest bytes of `extents`: ascending, contiguous, from 0. Where one is DATA with records, the
    2048-byte view of a track of 2352-byte frames is one extent."""

    def __init__(
        self, extents: Iterable[Extent], block: int, info: Mapping[str, object] = _NOTHING
    ) -> None:
        self._extents = tuple(joined(extents))
        self._starts = [extent.start for extent in self._extents]
        self.size = self._extents[-1].stop if self._extents else 0
        self.block = block
        self.info = info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop)."""
        stop = self.size if stop is None else min(stop, self.size)
        return pack(self._cut(start, stop))

    def _cut(self, start: int, stop: int) -> Iterator[Extent]:
        first = max(0, bisect_right(self._starts, start) - 1)
        for extent in islice(self._extents, first, None):
            if extent.start >= stop:
                break
            yield cut(extent, max(start, extent.start), min(stop, extent.stop))

    def __repr__(self) -> str:
        return f"Placed({len(self._extents)} extents, {self.size} bytes)"


def cut(extent: Extent, start: int, stop: int) -> Extent:
    """The part of `extent` in [start, stop), which lies inside it."""
    by, at, skip = start - extent.start, extent.at, extent.skip
    if extent.kind == Kind.CODED:
        skip += by
    elif extent.kind == Kind.DATA:
        at, skip = advance(at, skip, by, extent.records)
    return extent._replace(start=start, length=stop - start, at=at, skip=skip)
