"""Devices one behind the other: split sets, the extents of a flat disk."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from diskimage.model import Device, Runs
from diskimage.runs import shift


class Concat:
    """The guest bytes of `devices`, in order."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = [device for device in devices if device.size]
        self._bounds = [0]
        for device in self._devices:
            self._bounds.append(self._bounds[-1] + device.size)
        self.size = self._bounds[-1]
        self.block = min((device.block for device in self._devices), default=512)
        self.info: Mapping[str, object] = {"parts": len(devices)}

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop) of each device in turn, moved."""
        stop = self.size if stop is None else min(stop, self.size)
        part = bisect_right(self._bounds, start) - 1
        while start < stop:
            first, last = self._bounds[part], self._bounds[part + 1]
            for runs in self._devices[part].runs(start - first, min(stop, last) - first):
                yield shift(runs, first)
            start, part = last, part + 1
