"""The files of a folder, opened as they are read, a few at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from diskimage.model import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 32
"""Files open at once: images of folders have thousands, a process may have 1,024 descriptors."""


class FolderFiles:
    """The files called `names` of the folder `name`, opened by `open_one`. Thread-safe.

    At most MOST are open, but for those that are being read at this moment.
    """

    def __init__(self, name: str, names: Iterable[str], open_one: Callable[[str], Source]) -> None:
        self.name, self.names = name, frozenset(names)
        self._open_one = open_one
        self._held: OrderedDict[str, Source] = OrderedDict()
        self._busy: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._lock = Lock()

    def size(self, name: str) -> int:
        """The bytes of the file `name`, one of `names`. Raises DiskImageError."""
        if name not in self._sizes:
            with self._using(name) as source:
                self._sizes[name] = source.size
        return self._sizes[name]

    def read_into(self, name: str, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from byte `at` of the file `name`; fewer bytes only at its end."""
        with self._using(name) as source:
            return source.read_into(at, buffer)

    @contextmanager
    def _using(self, name: str) -> Iterator[Source]:
        with self._lock:
            source = self._held.pop(name, None)
            if source is None:
                self._let_go()
                source = self._open_one(name)
            self._held[name] = source
            self._busy[name] = self._busy.get(name, 0) + 1
        try:
            yield source
        finally:
            with self._lock:
                self._busy[name] -= 1

    def _let_go(self) -> None:
        """Close the files that were not read for the longest time and are not being read."""
        for name in list(self._held):
            if len(self._held) < MOST:
                return
            if not self._busy.get(name):
                self._held.pop(name).close()
                self._busy.pop(name, None)

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            while self._held:
                self._held.popitem()[1].close()

    def __repr__(self) -> str:
        return f"FolderFiles({self.name!r}, {len(self.names)} files)"
