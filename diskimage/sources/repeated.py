"""A few bytes again and again: what a symbol stands for, of any length."""

from __future__ import annotations

from collections.abc import Iterator


class Repeated:
    """`size` bytes that repeat `tile`, which is in memory once."""

    fd: int | None = None

    def __init__(self, name: str, tile: bytes, size: int) -> None:
        self.name, self.size, self._tile = name, size, tile

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end."""
        count = max(0, min(len(buffer), self.size - at))
        tile, done = self._tile, 0
        while done < count:
            skip = (at + done) % len(tile)
            part = tile[skip : skip + count - done]
            buffer[done : done + len(part)] = part
            done += len(part)
        return count

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of them are there."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Nothing is open."""
