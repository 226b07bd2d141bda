"""A device whose stored bytes are under a cipher: what it says of them is kept, not where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from diskimage.model import Device, Extent, Kind, Runs, Source
from diskimage.runs import pack, view


class Deciphered:
    """`device`, of which DATA are read from `clear`: at their own place, or `by_guest` at guest
    byte n's. What is coded is not enciphered, and stays where it is."""

    def __init__(self, device: Device, clear: Source, *, by_guest: bool) -> None:
        self._device, self._clear, self._by_guest = device, clear, by_guest
        self.size, self.block = device.size, device.block
        self.info: Mapping[str, object] = device.info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop)."""
        for runs in self._device.runs(start, stop):
            if not self._by_guest and Kind.CODED not in runs.kind:
                yield replace(runs, source=self._clear, codec=None, chunk=0)
            else:
                yield from pack(map(self._moved, view(runs)), runs.chunk)

    def _moved(self, extent: Extent) -> Extent:
        if extent.kind != Kind.DATA:
            return extent
        at = extent.start if self._by_guest else extent.at
        return extent._replace(source=self._clear, at=at)
