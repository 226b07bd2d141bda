"""Changes of metadata that are kept in memory until they are to be written."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.model import Plan, Put, Source
from diskimage.parse import read

SECTOR = 512


class Pending:
    """`source` as it is going to be: what was put over it is read before it is written.

    It is kept in whole sectors of `sector` bytes, the last of them as far as `stop`, where bytes
    begin that are not metadata. What is changed lies inside of the source when it is written. Not
    thread-safe: whoever writes keeps readers out.
    """

    fd: int | None = None

    def __init__(self, source: Source, sector: int = SECTOR, stop: int | None = None) -> None:
        self._source, self._sector, self._stop = source, sector, stop
        self._sectors: dict[int, bytearray] = {}
        self.name = source.name

    @property
    def size(self) -> int:
        """Bytes of the source."""
        return self._source.size

    def __len__(self) -> int:
        return len(self._sectors)

    def sectors(self) -> Iterator[tuple[int, bytes]]:
        """(place, bytes) of every sector that was changed, ascending, filled up with zeros."""
        for number in sorted(self._sectors):
            yield number * self._sector, bytes(self._sectors[number]).ljust(self._sector, b"\0")

    def put(self, at: int, data: bytes) -> None:
        """Change the bytes at `at`, in memory."""
        done = 0
        while done < len(data):
            number, skip = divmod(at + done, self._sector)
            if number not in self._sectors:
                start = number * self._sector
                end = self.size if self._stop is None else min(self._stop, self.size)
                length = min(self._sector, end - start)
                self._sectors[number] = read(self._source, start, length, "metadata")
            sector = self._sectors[number]
            count = min(len(data) - done, len(sector) - skip)
            assert count > 0, "a change past the end"
            sector[skip : skip + count] = data[done : done + count]
            done += count

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`, changes included; fewer bytes only at the end."""
        got = self._source.read_into(at, buffer)
        if self._sectors:
            for number in range(at // self._sector, -(-(at + got) // self._sector)):
                if number in self._sectors:
                    self._show(number, at, buffer[:got])
        return got

    def _show(self, number: int, at: int, buffer: memoryview) -> None:
        sector, start = self._sectors[number], number * self._sector
        first, last = max(at, start), min(at + len(buffer), start + len(sector))
        if first < last:
            buffer[first - at : last - at] = sector[first - start : last - start]

    def plan(self) -> Plan:
        """Write all changes, neighbouring sectors at once; then there are none."""
        for at, data in list(self._joined()):
            yield Put(at, data)
        self._sectors.clear()

    def _joined(self) -> Iterator[tuple[int, bytearray]]:
        at, data = 0, bytearray()
        for number in sorted(self._sectors):
            if data and at + len(data) != number * self._sector:
                yield at, data
                data = bytearray()
            at = at if data else number * self._sector
            data += self._sectors[number]
        if data:
            yield at, data

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """What the source says."""
        return self._source.spans(at, stop)

    def close(self) -> None:
        """The source stays its owner's."""
