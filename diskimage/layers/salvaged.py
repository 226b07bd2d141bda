"""A device less what of it is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.layers.gather import filler
from diskimage.model import HOLE, Device, Kind, Runs
from diskimage.ranges import Ranges


class Salvaged:
    """`device`, of which nothing in `bad` is asked: that is BAD, or holes where `blank`."""

    def __init__(self, device: Device, bad: Ranges, *, blank: bool = False) -> None:
        self.size, self.block = device.size, device.block
        self.info: Mapping[str, object] = device.info
        self._device, self._bad = device, bad
        self._kind = HOLE if blank else Kind.BAD

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop)."""
        stop = self.size if stop is None else min(stop, self.size)
        for first, length in self._bad.clip(start, stop):
            if start < first:
                yield from self._device.runs(start, first)
            start = first + length
            yield filler(first, start, self._kind)
        if start < stop:
            yield from self._device.runs(start, stop)
