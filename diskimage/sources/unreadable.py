"""Bytes that are lost with the file that had them, where it is known how many."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import MissingError


class Unreadable:
    """`size` bytes whose reading is an error."""

    fd: int | None = None

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Raises MissingError, unless nothing is asked for."""
        if not buffer:
            return 0
        raise MissingError("is in a part that is missing or cut short", file=self.name, at=at)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of it was stored."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Nothing is held open."""
