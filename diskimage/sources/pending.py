"""Changes of metadata that are kept in memory until they are to be written."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.model import Plan, Put, Source
from diskimage.parse import read

SECTOR = 512


class Pending:
    """`source` as it is going to be: what was put over it is read before it is written.

    What is changed lies inside of the source when it is written. Not thread-safe: whoever writes
    keeps readers out.
    """

    fd: int | None = None

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sectors: dict[int, bytearray] = {}
        self.name = source.name

    @property
    def size(self) -> int:
        """Bytes of the source."""
        return self._source.size

    def __bool__(self) -> bool:
        return bool(self._sectors)

    def put(self, at: int, data: bytes) -> None:
        """Change the bytes at `at`, in memory."""
        done = 0
        while done < len(data):
            number, skip = divmod(at + done, SECTOR)
            if number not in self._sectors:
                length = min(SECTOR, self.size - number * SECTOR)
                self._sectors[number] = read(self._source, number * SECTOR, length, "metadata")
            sector = self._sectors[number]
            count = min(len(data) - done, len(sector) - skip)
            assert count > 0, "a change past the end"
            sector[skip : skip + count] = data[done : done + count]
            done += count

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`, changes included; fewer bytes only at the end."""
        got = self._source.read_into(at, buffer)
        if self._sectors:
            for number in range(at // SECTOR, -(-(at + got) // SECTOR)):
                if number in self._sectors:
                    self._show(number, at, buffer[:got])
        return got

    def _show(self, number: int, at: int, buffer: memoryview) -> None:
        sector, start = self._sectors[number], number * SECTOR
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
            if data and at + len(data) != number * SECTOR:
                yield at, data
                data = bytearray()
            at = at if data else number * SECTOR
            data += self._sectors[number]
        if data:
            yield at, data

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """What the source says."""
        return self._source.spans(at, stop)

    def close(self) -> None:
        """The source stays its owner's."""
