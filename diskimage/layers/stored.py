"""Extents without zeros, for formats that store every chunk."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.model import HOLE, Device, Extent, Kind, Runs, Source
from diskimage.runs import pack, view
from diskimage.sources.zeros import Zeros


def without_holes(
    device: Device, start: int, stop: int, bad: dict[int, int] | None = None
) -> Iterator[Runs]:
    """The extents of [start, stop), zeros as bytes of a source.

    Where `bad` is given, unreadable ranges are zeros too, and noted in it: start to length.
    """
    zeros = Zeros(device.size)
    for runs in device.runs(start, stop):
        kinds = set(runs.kind)
        if not kinds & {HOLE, Kind.ZERO} and (bad is None or Kind.BAD not in kinds):
            yield runs
            continue
        yield from pack((_stored(row, zeros, bad) for row in view(runs)), runs.chunk)


def _stored(row: Extent, zeros: Source, bad: dict[int, int] | None) -> Extent:
    if row.kind == Kind.BAD and bad is not None:
        bad[row.start] = row.length
    elif row.kind != Kind.ZERO:
        return row
    return Extent(row.start, row.length, Kind.DATA, source=zeros, at=row.start)
