"""Outputs in memory, and a log of what was done to them: for tests, and for bytes as a result."""

from __future__ import annotations


class MemoryTarget:
    """One output as a bytearray."""

    fd: int | None = None
    fresh = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.data = bytearray()

    def write(self, to: int, data: memoryview) -> None:
        """Write all of `data` at `to`."""
        self._reach(to)
        self.data[to : to + len(data)] = data

    def zero(self, to: int, length: int) -> None:
        """Make [to, to + length) zeros, as far as it exists."""
        stop = min(len(self.data), to + length)
        if to < stop:
            self.data[to:stop] = bytes(stop - to)

    def resize(self, size: int) -> None:
        """Set the size; new bytes are zeros."""
        self._reach(size)
        del self.data[size:]

    def sync(self) -> None:
        """Memory is as durable as it gets."""

    def _reach(self, size: int) -> None:
        if len(self.data) < size:
            self.data.extend(bytes(size - len(self.data)))


class MemorySink:
    """Outputs by name; `committed` tells whether they count."""

    def __init__(self) -> None:
        self.targets: dict[str, MemoryTarget] = {}
        self.committed = False

    def target(self, file: str = "") -> MemoryTarget:
        """The output `file`, made on first use."""
        return self.targets.setdefault(file, MemoryTarget(file or "<memory>"))

    def commit(self) -> None:
        """The outputs count."""
        self.committed = True

    def abort(self) -> None:
        """The outputs do not count."""
        self.targets.clear()
