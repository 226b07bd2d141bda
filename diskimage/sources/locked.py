"""Bytes under a passphrase that was not given: they have a size, and are not to be read."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import PasswordError


class Locked:
    """`size` bytes whose reading raises an error: what a volume is to who only describes it."""

    fd: int | None = None

    def __init__(self, name: str, size: int, error: PasswordError) -> None:
        self.name, self.size = name, size
        self._error = error

    def read_into(self, at: int, buffer: memoryview) -> int:  # noqa: ARG002 - wherever it is
        """Raises PasswordError, unless nothing is asked for."""
        if not buffer:
            return 0
        raise self._error.with_traceback(None)  # else it grows each time

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of it is stored."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Nothing is held open."""
