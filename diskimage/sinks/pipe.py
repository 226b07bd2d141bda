"""A pipe: bytes in ascending order only, zeros written out."""

from __future__ import annotations

import os

from diskimage.errors import UnsupportedError, from_os
from diskimage.limits import MIB

_ZEROS = memoryview(bytes(MIB))


class PipeSink:
    """A sink over a descriptor that cannot seek: one thread writes each byte after the last."""

    fd: int | None = None
    fresh = False

    def __init__(self, fd: int, name: str = "-") -> None:
        self._out = fd
        self.name = name
        self._at = self._size = 0

    def target(self, file: str = "") -> PipeSink:
        """Itself; a pipe holds one output."""
        if file:
            raise UnsupportedError(f"a pipe cannot hold a second file, {file!r}", file=self.name)
        return self

    def write(self, to: int, data: memoryview) -> None:
        """Write `data` after what was written. UnsupportedError for a gap or a step back."""
        if self._at != to:
            raise UnsupportedError(
                f"a pipe is written in order: byte {to} cannot follow {self._at}", file=self.name
            )
        try:
            self._send(data)
        except OSError as error:
            raise from_os(error, self.name, at=self._at) from error

    def _send(self, data: memoryview) -> None:
        while data:
            count = os.write(self._out, data)
            data = data[count:]
            self._at += count

    def zero(self, to: int, length: int) -> None:
        """Write zeros: a pipe has no holes."""
        while length:
            piece = _ZEROS[: min(length, len(_ZEROS))]
            self.write(to, piece)
            to, length = to + len(piece), length - len(piece)

    def resize(self, size: int) -> None:
        """Zeros up to `size` at the end; less than was sent cannot be."""
        self._size = size

    def sync(self) -> None:
        """A pipe has nothing to sync."""

    def commit(self) -> None:
        """What was sent is sent; zeros fill it up to its size."""
        if self._size > self._at:
            self.zero(self._at, self._size - self._at)

    def abort(self) -> None:
        """What was sent cannot be taken back."""
