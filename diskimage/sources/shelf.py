"""The parts of a large set: files of which only a few are open at once."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from diskimage.sources.file import FileSource, changed

ROOM = 32
"""Files that stay open, and as many again that take turns: a set has thousands of segments, a
process as a rule 1024 descriptors."""


class Shelf:
    """Keeps the first files of a set open; those after them take turns. Thread-safe."""

    def __init__(self) -> None:
        self._put = 0
        self._open: OrderedDict[ShelvedFile, int] = OrderedDict()  # how many reads are under way
        self._lock = Lock()

    def put(self, source: FileSource, again: Callable[[], FileSource]) -> FileSource:
        """`source`, or in its place one that may be closed between reads, to be opened `again`."""
        self._put += 1
        if self._put <= ROOM:
            return source
        with self._lock:
            self._make_room()
            shelved = ShelvedFile(source, self, again)
            self._open[shelved] = 0
        return shelved

    @contextmanager
    def using(self, file: ShelvedFile) -> Iterator[None]:
        """`file` is open in here. Raises what opening it again does."""
        with self._lock:
            if file not in self._open:
                self._make_room()
                file.reopen()
            self._open[file] = self._open.pop(file, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._open[file] -= 1

    def _make_room(self) -> None:
        """Close the files that were not read for the longest time and are not being read."""
        for file in [file for file, reads in self._open.items() if not reads]:
            if len(self._open) < ROOM:
                return
            del self._open[file]
            file.put_away()

    def drop(self, file: ShelvedFile) -> None:
        """`file` is closed for good."""
        with self._lock:
            self._open.pop(file, None)
            file.put_away()


class ShelvedFile(FileSource):
    """A file that is opened when it is read. It has no descriptor for kernels."""

    def __init__(self, source: FileSource, shelf: Shelf, again: Callable[[], FileSource]) -> None:
        assert source.fd is not None
        super().__init__(os.dup(source.fd), source.name)
        source.close()
        self._shelf, self._again = shelf, again

    @property
    def fd(self) -> int | None:
        """None: it may be closed by the time that a kernel reads."""
        return None

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises IoError, ChangedError."""
        with self._shelf.using(self):
            return super().read_into(at, buffer)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """(at, stop, stored) of [at, stop)."""
        with self._shelf.using(self):
            yield from super().spans(at, stop)

    def unchanged(self) -> None:
        """ChangedError where size or time of the file differ from those at opening."""
        with self._shelf.using(self):
            super().unchanged()

    def reopen(self) -> None:
        """Open it again. ChangedError where another file has its name by now."""
        found = self._again()
        try:
            if (found.identity, found.size) != (self.identity, self.size):
                raise changed(self.name)
            assert found.fd is not None
            self._fd = os.dup(found.fd)
        finally:
            found.close()

    def put_away(self) -> None:
        """Close the descriptor, for now."""
        super().close()

    def close(self) -> None:
        """Close it for good."""
        self._shelf.drop(self)
