"""An executor of extents with no engine in it: one extent at a time, records by a loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from diskimage.model import Device, Extent, Kind, Runs, Source
from diskimage.runs import joined, pack, view


class Absent(Exception):  # noqa: N818 - a fact about a byte, not a fault
    """The device does not answer for a byte."""


def read(device: Device, start: int = 0, stop: int | None = None) -> bytes:
    """The guest bytes of [start, stop)."""
    stop = device.size if stop is None else stop
    out = bytearray()
    for runs in device.runs(start, stop):
        for row in view(runs):
            assert row.start == start + len(out)
            out += coded(row, runs.chunk) if row.kind == Kind.CODED else piece(row)
    assert len(out) == max(0, stop - start)
    return bytes(out)


def piece(extent: Extent) -> bytes:
    """The guest bytes of one extent."""
    if extent.kind == Kind.ZERO:
        return bytes(extent.length)
    if extent.kind == Kind.ABSENT:
        raise Absent(extent.start)
    assert extent.source is not None
    assert extent.kind != Kind.BAD
    if extent.kind == Kind.CODED:
        return coded(extent)
    if extent.records is None:
        return stored(extent.source, extent.at, extent.length)
    out, at, skip = bytearray(), extent.at, extent.skip
    while len(out) < extent.length:
        take = min(extent.records.take - skip, extent.length - len(out))
        out += stored(extent.source, at + skip, take)
        at, skip = at + extent.records.pitch, 0
    return bytes(out)


def coded(extent: Extent, chunk: int | None = None) -> bytes:
    """The guest bytes of a coded extent; `chunk` where it is known."""
    assert extent.codec is not None
    assert extent.source is not None
    want = extent.skip + extent.length if chunk is None else chunk
    raw = stored(extent.source, extent.at, extent.stored)
    plain = bytes(extent.codec.decode(memoryview(raw), want))
    assert len(plain) == want
    return plain[extent.skip : extent.skip + extent.length]


def stored(source: Source, at: int, length: int) -> bytes:
    """Exactly `length` bytes of a source."""
    buffer = bytearray(length)
    assert source.read_into(at, memoryview(buffer)) == length
    return bytes(buffer)


@dataclass
class Rows:
    """A device of given extents."""

    extents: list[Extent]
    block: int = 512
    info: dict[str, object] = field(default_factory=dict)
    chunk: int = 0

    @property
    def size(self) -> int:
        return self.extents[-1].stop if self.extents else 0

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """Those extents, cut to [start, stop)."""
        stop = self.size if stop is None else min(stop, self.size)
        return pack(self._cut(start, stop), self.chunk)

    def _cut(self, start: int, stop: int) -> Iterator[Extent]:
        for extent in self.extents:
            first, last = max(start, extent.start), min(stop, extent.stop)
            if first < last:
                yield cut(extent, first, last)


def cut(extent: Extent, first: int, last: int) -> Extent:
    """The part [first, last) of an extent, byte by byte where it has records."""
    at, skip, by = extent.at, extent.skip, first - extent.start
    if extent.kind == Kind.CODED:
        skip += by
    elif extent.kind == Kind.DATA and extent.records is None:
        at += by
    elif extent.kind == Kind.DATA and extent.records is not None:
        for _ in range(by):
            skip += 1
            if skip == extent.records.take:
                at, skip = at + extent.records.pitch, 0
    return extent._replace(start=first, length=last - first, at=at, skip=skip)


def lawful(device: Device, start: int = 0, stop: int | None = None) -> None:
    """Assert the rules of runs: ascending, contiguous, positive, in range, joined, inside."""
    stop = device.size if stop is None else stop
    expected = start
    for runs in device.runs(start, stop):
        assert 0 < len(runs) <= 4096
        columns = [runs.length, runs.at, runs.kind]
        assert all(len(column) == len(runs) for column in columns)
        assert all(len(column) in (0, len(runs)) for column in (runs.stored, runs.skip))
        rows = list(view(runs))
        assert list(joined(rows)) == rows
        for row in rows:
            assert row.start == expected
            assert row.length > 0
            expected = row.stop
            if row.kind == Kind.DATA and row.records is None:
                assert row.source is not None
                assert 0 <= row.at <= row.source.size - row.length
            if row.kind == Kind.CODED:
                assert row.source is not None
                assert row.codec is not None
                assert row.stored > 0
                assert 0 <= row.at <= row.source.size - row.stored
                assert row.skip + row.length <= runs.chunk
    assert expected == max(start, stop)
