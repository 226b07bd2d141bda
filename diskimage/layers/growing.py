"""A layer of blocks written in place: room is made first, then the bytes are put into it.

What a file has to say for that is its format's (`Room`); which bytes are concerned, in which order,
and what becomes of zeros is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from diskimage.layers.gather import hole
from diskimage.model import Copy, Device, Kind, Plan, Put, Runs
from diskimage.runs import extents


class Room(Protocol):
    """How a format makes room in its file. Offsets are guest bytes, inside of one block."""

    def begin(self) -> Plan:
        """Before each block is changed: what the file has to say once before the first of them,
        and what may not wait in memory any longer."""
        ...

    def present(self, start: int, stop: int) -> Plan:
        """Make [start, stop), of which the layer stores nothing, stored; its bytes follow.

        What lies beside it in the same granule has to read as before.
        """
        ...

    def clear(self, start: int, stop: int) -> Plan:
        """Make [start, stop), which the layer does not answer, read as zeros."""
        ...

    def flush(self) -> Plan:
        """Write out what is held back, and make all of it durable."""
        ...


class Growing:
    """`layer` with its plans of writing; `whole` is what the guest reads: it, or an overlay of it.

    Each block is finished before the next one is begun, so that what a format holds back can be
    written out between two of them. After a change in the tables the layer has to answer by the
    new ones.
    """

    def __init__(
        self, layer: Device, whole: Device, room: Room,
        resize: Callable[[int], Plan] | None = None,
    ) -> None:  # fmt: skip
        if resize is not None:  # a `Resizable` then
            self.plan_resize = resize
        self.layer, self.whole, self._room = layer, whole, room
        self.size, self.block = layer.size, layer.block
        self.info: Mapping[str, object] = layer.info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop)."""
        return self.whole.runs(start, stop)

    def plan_write(self, start: int, data: memoryview) -> Plan:
        """Make every byte stored, then write `data` where they are."""
        stop = start + len(data)
        for first, last in blocks(start, stop, self.block):
            yield from self._room.begin()
            for extent in list(extents(self.layer, first, last)):
                if extent.kind != Kind.DATA:
                    yield from self._room.present(extent.start, extent.stop)
            for extent in list(extents(self.layer, first, last)):
                assert extent.kind == Kind.DATA, extent
                yield Put(extent.at, data[extent.start - start : extent.stop - start])

    def plan_zero(self, start: int, length: int) -> Plan:
        """Holes where there are bytes; what is a parent's is said to be zeros."""
        for extent in list(extents(self.layer, start, start + length)):
            if extent.kind == Kind.DATA:
                yield from self._room.begin()
                yield Copy(iter((hole(0, extent.length),)), extent.at)
            elif extent.kind == Kind.ABSENT:
                for first, last in blocks(extent.start, extent.stop, self.block):
                    yield from self._room.begin()
                    yield from self._room.clear(first, last)

    def plan_flush(self) -> Plan:
        """What was written is durable before a table says that it is there."""
        return self._room.flush()


def blocks(start: int, stop: int, block: int) -> Iterator[tuple[int, int]]:
    """[start, stop) cut at multiples of `block`."""
    while start < stop:
        edge = min(stop, (start // block + 1) * block)
        yield start, edge
        start = edge
