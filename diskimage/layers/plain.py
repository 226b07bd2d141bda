"""A source as a device: its bytes are the guest's, and what it does not store is a hole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.model import Extent, Kind, Runs, Source
from diskimage.runs import pack


class Plain:
    """Every byte of `source` where it stands."""

    block = 512

    def __init__(self, source: Source) -> None:
        self._source = source
        self.size = source.size
        self.info: Mapping[str, object] = {}

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """DATA where the source has bytes, holes where it says it has none."""
        return pack(self._extents(start, self.size if stop is None else min(stop, self.size)))

    def _extents(self, start: int, stop: int) -> Iterator[Extent]:
        for at, end, stored in self._source.spans(start, stop):
            if stored:
                yield Extent(at, end - at, Kind.DATA, source=self._source, at=at)
            else:
                yield Extent(at, end - at, Kind.ZERO, hole=True)
