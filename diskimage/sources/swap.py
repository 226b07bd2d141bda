"""16-bit words with their bytes exchanged: big-endian audio as a disc holds it, little-endian."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.kernels.frames import swap16
from diskimage.model import Source


class Swap:
    """`inner` with the bytes of each 16-bit word exchanged; an odd last byte stays."""

    fd: int | None = None

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        self.name = inner.name
        self.size = inner.size

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises IoError."""
        if at % 2 == 0 and len(buffer) % 2 == 0 and at + len(buffer) <= self.size:
            got = self._inner.read_into(at, buffer)
            swap16(buffer[: got & ~1], buffer[: got & ~1])
            return got
        first = at & ~1
        stop = min((at + len(buffer) + 1) & ~1, self.size)
        words = bytearray(max(0, stop - first))
        got = self._inner.read_into(first, memoryview(words))
        paired = memoryview(words)[: got & ~1]
        swap16(paired, paired)
        part = memoryview(words)[at - first : got][: len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """Those of the inner source: zeros stay zeros."""
        return self._inner.spans(at, stop)

    def close(self) -> None:
        """Close the inner source."""
        self._inner.close()

    def __repr__(self) -> str:
        return f"Swap({self._inner!r})"
