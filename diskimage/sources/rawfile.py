"""A source, or what reads like one, as a raw file of the standard library."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Readable(Protocol):
    """Bytes with a size."""

    @property
    def size(self) -> int: ...
    def read_into(self, at: int, buffer: memoryview, /) -> int: ...


class RawFile(io.RawIOBase):
    """A position in `source`, read-only."""

    def __init__(self, source: Readable) -> None:
        super().__init__()
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill `buffer` from the position; 0 at the end."""
        view = memoryview(buffer).cast("B")
        room = min(len(view), max(0, self._source.size - self._at))
        got = self._source.read_into(self._at, view[:room]) if room else 0
        self._at += got
        return got

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position; past the end is allowed, before the start is ValueError."""
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}
        if whence not in bases:
            raise ValueError(f"no position is told from {whence}")
        if bases[whence] + offset < 0:
            raise ValueError(f"a position of {bases[whence] + offset}, before the start")
        self._at = bases[whence] + offset
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at
