"""A part of a device as a device: partitions, tracks, snapshots of another size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.model import Device, Runs
from diskimage.runs import shift


class Slice:
    """`length` guest bytes of `device` from `start`; guest byte 0 is that at `start`."""

    def __init__(self, device: Device, start: int, length: int) -> None:
        if start < 0 or length < 0 or start + length > device.size:
            raise ValueError(f"{length} bytes at {start} of a device of {device.size}")
        self._device, self._start = device, start
        self.size = length
        self.block = device.block
        self.info: Mapping[str, object] = device.info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop), moved."""
        stop = self.size if stop is None else min(stop, self.size)
        if start >= stop:
            return
        for runs in self._device.runs(self._start + start, self._start + stop):
            yield shift(runs, -self._start)
