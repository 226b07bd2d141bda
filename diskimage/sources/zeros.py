"""Zeros without a file: what was never stored, as a source."""

from __future__ import annotations

from collections.abc import Iterator


class Zeros:
    """`size` bytes that read as zeros."""

    fd: int | None = None

    def __init__(self, size: int, name: str = "<zeros>") -> None:
        self.size, self.name = size, name

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` with zeros; fewer bytes only at the end."""
        count = max(0, min(len(buffer), self.size - at))
        buffer[:count] = bytes(count)
        return count

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of it is a hole."""
        if at < stop:
            yield at, stop, False

    def close(self) -> None:
        """Nothing is held open."""

    def __repr__(self) -> str:
        return f"Zeros({self.size} bytes)"
