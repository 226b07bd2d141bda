"""A source with pieces of it replaced: what a log says that its file is to be."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from diskimage.model import Source


class Patched:
    """`source`, zeros behind it up to `size` bytes, and over both the patches that were put.

    Patches are put before it is read; reading is thread-safe. Once they are written into the source
    itself they are to be forgotten, and it is read as it is, whatever size it grows to.
    """

    fd: int | None = None

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self.name, self._least = source.name, size
        self._starts: list[int] = []
        self._patches: list[tuple[int, bytes | None]] = []  # (stop, bytes or None for zeros)

    @property
    def size(self) -> int:
        """Bytes of the source, or those that it is to have."""
        return max(self._least, self._source.size)

    def forget(self) -> None:
        """The patches are in the source by now."""
        self._starts, self._patches, self._least = [], [], 0

    def patches(self) -> Iterator[tuple[int, int, bytes | None]]:
        """(place, length, bytes) of what is replaced, ascending; None for zeros."""
        for at, (stop, data) in zip(self._starts, self._patches, strict=True):
            yield at, stop - at, data

    def put(self, at: int, length: int, data: bytes | None) -> None:
        """[at, at + length) is `data`, or zeros where it is None."""
        stop = at + length
        first = bisect_right(self._starts, at)
        if first and self._patches[first - 1][0] > at:
            first -= 1
        last = bisect_left(self._starts, stop)
        rows = [(at, stop, data)]
        if first < last:
            begin, (end, old) = self._starts[first], self._patches[first]
            if begin < at:
                rows.insert(0, (begin, at, old and old[: at - begin]))
            begin, (end, old) = self._starts[last - 1], self._patches[last - 1]
            if end > stop:
                rows.append((stop, end, old and old[stop - begin :]))
        self._starts[first:last] = [row[0] for row in rows]
        self._patches[first:last] = [(row[1], row[2]) for row in rows]

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end."""
        want = max(0, min(len(buffer), self.size - at))
        stored = max(0, min(want, self._source.size - at))
        if stored:
            got = self._source.read_into(at, buffer[:stored])
            if got < stored:
                return got
        buffer[stored:want] = bytes(want - stored)
        row = max(0, bisect_right(self._starts, at) - 1)
        while row < len(self._starts) and self._starts[row] < at + want:
            start, (stop, data) = self._starts[row], self._patches[row]
            first, last = max(at, start), min(at + want, stop)
            if first < last:
                part = bytes(last - first) if data is None else data[first - start : last - start]
                buffer[first - at : last - at] = part
            row += 1
        return want

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of it is said to be stored: patches lie anywhere."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """The source stays its owner's."""
