"""Reads past the page cache: O_DIRECT where place, length and memory allow it (open(2))."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from diskimage.sources.file import FileSource

ALIGN = 4096  # every file system and drive in use takes it; some take 512


def open_direct(path: str, flags: int) -> int | None:
    """A descriptor of `path` with O_DIRECT; None where the file system has none."""
    if not hasattr(os, "O_DIRECT"):
        return None
    try:
        return os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return None
        raise


class DirectSource:
    """The file of `source` read by `direct`, a descriptor with O_DIRECT; odd pieces by the cache.

    Both stay their owner's."""

    fd: int | None = None

    def __init__(self, source: FileSource, direct: int) -> None:
        self._source, self._direct = source, direct
        self.name, self.size = source.name, source.size

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end."""
        if at % ALIGN == 0 and len(buffer) % ALIGN == 0:
            try:
                if os.preadv(self._direct, [buffer], at) == len(buffer):
                    return len(buffer)
            except OSError as error:
                if error.errno != errno.EINVAL:  # memory that is not aligned
                    raise
        return self._source.read_into(at, buffer)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """As the file's."""
        return self._source.spans(at, stop)

    def close(self) -> None:
        """Both descriptors stay their owner's."""
