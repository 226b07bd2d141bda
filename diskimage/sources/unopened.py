"""A file that an image names and that was not opened: its bytes have places, and are not there."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import RefusedReferenceError


class Unopened:
    """Stands for a file of unknown size, so that a layer alone can still say what it stores.

    Only reading raises: a map needs places alone, and a layer that is taken for empty would be
    copied without its content.
    """

    fd: int | None = None
    size = (1 << 63) - 1  # whatever an entry names may be in it

    def __init__(self, name: str) -> None:
        self.name = name

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Raises RefusedReferenceError, unless nothing is asked for."""
        if not buffer:
            return 0
        raise RefusedReferenceError(
            "was not opened: its bytes cannot be read",
            file=self.name,
            at=at,
            remedy="allow it with --references siblings, or a directory",
        )

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of it counts as stored."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Nothing is held open."""
