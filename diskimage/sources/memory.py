"""Bytes in memory."""

from __future__ import annotations

from collections.abc import Iterator


class MemorySource:
    """A source over a bytes-like object, not copied."""

    fd: int | None = None

    def __init__(self, data: bytes | bytearray | memoryview, name: str = "<memory>") -> None:
        self._data = memoryview(data).cast("B")
        self.name = name
        self.size = len(self._data)

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end."""
        part = self._data[at : at + len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of it is stored."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Nothing is held open."""

    def __repr__(self) -> str:
        return f"MemorySource({self.name!r}, {self.size} bytes)"
