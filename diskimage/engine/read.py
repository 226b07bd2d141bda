"""Guest bytes of a device into a caller's buffer, and any device as a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import local

from diskimage.engine.cache import ChunkCache
from diskimage.engine.guard import guarded
from diskimage.engine.policy import FramePolicy
from diskimage.errors import (
    DiskImageError,
    IoError,
    RefusedReferenceError,
    TruncatedError,
    from_os,
)
from diskimage.kernels import copying
from diskimage.limits import MIB
from diskimage.model import Device, Kind, Runs, Source
from diskimage.runs import of_codec, stop_of

COVER = 4 * MIB  # coded chunks this near to each other are read at once


class _Scratch(local):
    """Memory for stored bytes, a thread its own: a fresh buffer costs as much as the read."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def take(self, length: int) -> memoryview:
        """`length` bytes with any content, until the thread takes again."""
        if length > 2 * COVER:
            return memoryview(bytearray(length))
        if len(self._buffer) < length:
            self._buffer = bytearray(length)
        return memoryview(self._buffer)[:length]


SCATTER_ROWS = 8  # from here on the kernel reads the rows of a block in one call


@dataclass(slots=True)
class Reader:
    """How bytes are read: the frame rules, and the decoded chunks kept for another read."""

    policy: FramePolicy = field(default_factory=FramePolicy)
    cache: ChunkCache | None = None
    _scratch: _Scratch = field(default_factory=_Scratch, repr=False)

    def fill(self, runs: Runs, buffer: memoryview) -> None:
        """Fill `buffer` with the guest bytes of `runs`, whose first byte is the buffer's first."""
        kinds = set(runs.kind)
        if kinds == {Kind.DATA} and self._scattered(runs, buffer):
            return
        base = runs.start[0]
        if Kind.CODED in kinds:
            self._coded(runs, buffer)
        for row, kind in enumerate(runs.kind):
            if kind == Kind.CODED:
                continue
            start = runs.start[row] - base
            self._row(runs, row, kind, buffer[start : start + runs.length[row]])

    def _scattered(self, runs: Runs, buffer: memoryview) -> bool:
        """Read many plain rows in one kernel call, where the source has a descriptor."""
        source = runs.source
        if source is None or source.fd is None or runs.records or len(runs) < SCATTER_ROWS:
            return False
        try:
            got = copying.read_runs(source.fd, runs.at, runs.length, buffer)
        except OSError as error:
            raise from_os(error, source.name) from error
        if got != len(buffer):
            raise _short(source, runs.at[0], got, len(buffer))
        return True

    def _row(self, runs: Runs, row: int, kind: int, out: memoryview) -> None:
        if kind == Kind.DATA:
            self._data(runs, row, out)
        elif kind == Kind.ABSENT:
            raise absent(runs, row)
        elif kind == Kind.BAD:
            raise IoError(f"guest bytes from {runs.start[row]} are marked unreadable")
        else:
            out[:] = bytes(len(out))

    def _data(self, runs: Runs, row: int, out: memoryview) -> None:
        source, at = runs.source, runs.at[row]
        assert source is not None
        if runs.records is not None:
            from diskimage.engine.frames import gather  # a disk has no frames

            skip = runs.skip[row] if runs.skip else 0
            gather(source, at, skip, runs.records, out, self.policy)
            return
        got = source.read_into(at, out)
        if got != len(out):
            raise _short(source, at, got, len(out))

    def _coded(self, runs: Runs, buffer: memoryview) -> None:
        """Decode the CODED rows: their stored bytes in as few reads as their places allow."""
        rows = [i for i, kind in enumerate(runs.kind) if kind == Kind.CODED]
        while rows:
            first, stop, count = runs.at[rows[0]], 0, 0
            for row in rows:
                at, end = runs.at[row], runs.at[row] + runs.stored[row]
                if at < first or (count and max(stop, end) - first > COVER):
                    break
                stop, count = max(stop, end), count + 1
            self._decode(runs, rows[:count], first, stop, buffer)
            rows = rows[count:]

    def _decode(
        self, runs: Runs, rows: list[int], first: int, stop: int, buffer: memoryview
    ) -> None:
        source, base = runs.source, runs.start[0]
        assert source is not None
        stored: memoryview | None = None
        for row in rows:
            at, length = runs.at[row], runs.length[row]

            def make(at: int = at, size: int = runs.stored[row]) -> bytes | bytearray | memoryview:
                nonlocal stored
                if stored is None:
                    stored = self._scratch.take(stop - first)
                    _read_stored(source, first, stored)
                return _plain(runs, stored[at - first : at - first + size], at)

            key = (id(source), at, runs.chunk)
            chunk = make() if self.cache is None else self.cache.get(key, make)
            skip = runs.skip[row] if runs.skip else 0
            start = runs.start[row] - base
            buffer[start : start + length] = memoryview(chunk)[skip : skip + length]


def _read_stored(source: Source, first: int, stored: memoryview) -> None:
    got = source.read_into(first, stored)
    if got != len(stored):
        raise _short(source, first, got, len(stored))


def _plain(runs: Runs, stored: memoryview, at: int) -> bytes | bytearray | memoryview:
    codec = of_codec(runs)
    assert runs.source is not None
    try:
        return codec.decode(stored, runs.chunk)
    except DiskImageError as error:
        raise type(error)(
            f"{codec.name} chunk: {error.message}",
            file=runs.source.name,
            at=at,
            remedy="the file is damaged: copy or download it again",
        ) from None


def _short(source: Source, at: int, got: int, want: int) -> TruncatedError:
    return TruncatedError(
        f"{got} of {want} bytes could be read",
        file=source.name,
        at=at + got,
        remedy="the file became shorter, or its medium fails",
    )


def absent(runs: Runs, row: int) -> DiskImageError:
    """The error for reading row `row`, which this layer does not answer."""
    return RefusedReferenceError(
        f"bytes {runs.start[row]} to {runs.start[row] + runs.length[row]} are not in this layer",
        remedy="open it with its backing allowed (--references siblings), or read another part",
    )


def read_into(device: Device, start: int, buffer: memoryview, reader: Reader) -> int:
    """Fill `buffer` with guest bytes from `start`; fewer only at the device's end."""
    stop = min(device.size, start + len(buffer))
    if start >= stop:
        return 0
    for runs in guarded(device, start, stop):
        first = runs.start[0] - start
        reader.fill(runs, buffer[first : stop_of(runs) - start])
    return stop - start


class DeviceSource:
    """A device as a source: what computes over guest bytes reads this."""

    fd: int | None = None

    def __init__(self, device: Device, name: str, reader: Reader | None = None) -> None:
        self._device = device
        self._reader = reader or Reader(cache=ChunkCache())
        self.name = name
        self.size = device.size

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from guest byte `at`; fewer bytes only at the end."""
        return read_into(self._device, at, buffer, self._reader)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """(at, stop, stored) of [at, stop): runs of zeros are not stored."""
        for runs in guarded(self._device, at, min(stop, self.size)):
            for row, kind in enumerate(runs.kind):
                start = runs.start[row]
                yield start, start + runs.length[row], kind & 0x7F != Kind.ZERO

    def close(self) -> None:
        """The device stays its owner's."""


def source(device: Device, name: str = "<device>", reader: Reader | None = None) -> DeviceSource:
    """Any device as a Source named `name` in errors."""
    return DeviceSource(device, name, reader)
