"""A regular file, by descriptor: positional reads, holes by SEEK_DATA, changes noticed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from diskimage.errors import BusyError, ChangedError, UnsupportedError, UsageError, from_os

_TYPES = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISBLK, "a block device"),  # its st_size is 0: sources.device asks it for its size
)


def checked_name(path: str) -> str:
    """`path`. UsageError where no file of this system can have that name."""
    try:
        if b"\0" not in os.fsencode(path):
            return path
    except UnicodeEncodeError:  # half of a surrogate pair
        pass
    raise UsageError("is no name of a file", file=path, remedy="check the name")


class FileSource:
    """A source over a regular file that is not written through it.

    Opened with O_NONBLOCK and judged by fstat, so that a FIFO neither hangs nor passes. Reads are
    pread, never a mapping: a file that shrinks is an error, not a signal. One that is `growing`,
    written in place by us, has the size that it has by now.
    """

    def __init__(self, fd: int, name: str, *, growing: bool = False) -> None:
        self._fd = -1
        self.name = self.path = name  # who opened it by another path than it shows says so
        self._stat = os.fstat(fd)
        self._fd = fd  # ours to close from here on: where this line was not reached, the caller's
        self._size = self._stat.st_size
        self._growing = growing
        self._stored = (0, 0)  # the last run of bytes that SEEK_DATA found

    @property
    def fd(self) -> int | None:
        """The descriptor, for kernels."""
        return self._fd

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._fd).st_size if self._growing else self._size

    @property
    def modified(self) -> float:
        """When it was last written, in Unix seconds."""
        return self._stat.st_mtime

    @property
    def identity(self) -> tuple[int, int]:
        """(device, inode): what makes two names one file."""
        return self._stat.st_dev, self._stat.st_ino

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises IoError."""
        done = 0
        while done < len(buffer):
            try:
                got = os.preadv(self._fd, [buffer[done:]], at + done)
            except OSError as error:
                raise from_os(error, self.name, at=at + done) from error
            if got == 0:
                break
            done += got
        return done

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """(at, stop, stored) of [at, stop) by SEEK_DATA; all stored where that is unknown."""
        while at < stop:
            data, hole = self._next_data(at, stop)
            if data > at:
                yield at, data, False
            if hole > data:
                yield data, hole, True
            at = hole

    def _next_data(self, at: int, stop: int) -> tuple[int, int]:
        """The first stored run of [at, stop). One that was found stored is not asked for again:
        should it be a hole by now, it reads as zeros all the same."""
        first, last = self._stored
        if first <= at < last:
            return at, min(stop, last)
        data, hole = self._sought(at)
        self._stored = data, hole
        return min(stop, data), min(stop, hole)

    def _sought(self, at: int) -> tuple[int, int]:
        """The first stored run from `at`: (data, hole), END for what is not there."""
        if not hasattr(os, "SEEK_DATA"):
            return at, END
        try:
            data = os.lseek(self._fd, at, os.SEEK_DATA)
            return data, os.lseek(self._fd, data, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                return at, END
        if os.fstat(self._fd).st_size < self.size:  # the rest is gone, not a hole
            raise changed(self.name)
        return END, END

    def unchanged(self) -> None:
        """ChangedError where size or time of the file differ from those at opening."""
        now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
            raise changed(self.name)

    def close(self) -> None:
        """Close the descriptor; twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()  # an image that nobody holds any more keeps no file open

    def __repr__(self) -> str:
        return f"FileSource({self.name!r}, {self.size} bytes)"


END = (1 << 63) - 1


def changed(name: str) -> ChangedError:
    """The error for a file that is not as it was."""
    remedy = "stop what writes to it, or read a snapshot"
    return ChangedError("changed while it was read", file=name, remedy=remedy)


def open_file(
    path: str, *, name: str | None = None, dir_fd: int | None = None, writable: bool = False
) -> FileSource:
    """`path` for reading, or `writable` in place too.

    Raises MissingError, IoError, and UnsupportedError for what is no file.
    """
    name = path if name is None else name
    flags = (
        (os.O_RDWR if writable else os.O_RDONLY)
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_CLOEXEC", 0)
    )
    flags |= getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    if dir_fd is not None:
        flags |= os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, dir_fd=dir_fd)
    except OSError as error:
        raise from_os(error, name) from error
    try:
        refuse_irregular(os.fstat(fd).st_mode, name)
        return FileSource(fd, name, growing=writable)
    except BaseException:
        os.close(fd)
        raise


def refuse_irregular(mode: int, name: str) -> None:
    """UnsupportedError for what is no regular file."""
    for test, what in _TYPES:
        if test(mode):
            text = f"is {what}, not an image"
            raise UnsupportedError(text, file=name, remedy="name a file or a block device")


def same_file(a: FileSource, b: FileSource) -> bool:
    """Whether two sources are one file."""
    return a.identity == b.identity


def refuse_same(source: FileSource, path: str) -> None:
    """BusyError where `path` is the very file `source` reads."""
    try:
        found = os.stat(path)
    except OSError:
        return
    if source.identity in ((found.st_dev, found.st_ino), (-1, found.st_rdev)):
        message = "source and target are the same file"
        raise BusyError(message, file=path, remedy="name another target")
