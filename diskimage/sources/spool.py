"""What can be read once alone, in a file without a name: a pipe as bytes at random."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

from diskimage.errors import from_os
from diskimage.limits import MIB
from diskimage.sources.file import FileSource

STDIN = "<standard input>"


class SpooledSource:
    """All that was read of a descriptor. No name leads to it, so nothing is beside it."""

    def __init__(self, fd: int, name: str = STDIN) -> None:
        """Read `fd` to its end. Raises IoError, NoSpaceError where the directory of temporary
        files (TMPDIR) has no room for it."""
        self.name = name
        try:
            with tempfile.TemporaryFile(buffering=0) as file:
                while piece := os.read(fd, MIB):
                    while piece:
                        piece = piece[file.write(piece) :]
                self._file = FileSource(os.dup(file.fileno()), name)
        except OSError as error:
            raise from_os(error, name) from error

    @property
    def fd(self) -> int | None:
        """The descriptor, for kernels."""
        return self._file.fd

    @property
    def size(self) -> int:
        """Bytes that were read."""
        return self._file.size

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises IoError."""
        return self._file.read_into(at, buffer)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """Those of the file."""
        return self._file.spans(at, stop)

    def close(self) -> None:
        """Close the file, which is gone then; twice is harmless."""
        self._file.close()

    def __repr__(self) -> str:
        return f"SpooledSource({self.name!r}, {self.size} bytes)"
