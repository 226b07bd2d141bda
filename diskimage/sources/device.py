"""A block device: its size and both sector sizes by ioctl, never by reading to the end."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator

from diskimage.errors import UnsupportedError, from_os
from diskimage.sources.file import FileSource

# Linux, include/uapi/linux/fs.h
BLKGETSIZE64, BLKSSZGET, BLKPBSZGET = 0x80081272, 0x1268, 0x127B


class DeviceFileSource(FileSource):
    """A block device read by descriptor; `sector_size` and `physical_sector_size` in bytes."""

    def __init__(self, fd: int, name: str) -> None:
        super().__init__(fd, name)
        self._size, self.sector_size, self.physical_sector_size = geometry(fd, name)

    @property
    def identity(self) -> tuple[int, int]:
        """The device's number: any node of it is the same device."""
        return -1, self._stat.st_rdev

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """A device does not say what it does not store."""
        if at < stop:
            yield at, stop, True

    def unchanged(self) -> None:
        """A device has no time of change: nothing to hold against it."""


def geometry(fd: int, name: str) -> tuple[int, int, int]:
    """(size, logical sector, physical sector) of the block device `fd`, in bytes."""
    try:
        from fcntl import ioctl  # not on Windows
    except ImportError:
        raise UnsupportedError("block devices are read on Linux only", file=name) from None
    try:
        size = struct.unpack("Q", ioctl(fd, BLKGETSIZE64, bytes(8)))[0]
        logical = struct.unpack("i", ioctl(fd, BLKSSZGET, bytes(4)))[0]
        physical = struct.unpack("I", ioctl(fd, BLKPBSZGET, bytes(4)))[0]
    except OSError as error:
        raise from_os(error, name) from error
    return size, logical, physical


def is_device(path: str) -> bool:
    """Whether `path` names a block device."""
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except (OSError, ValueError):  # ValueError: no file can have that name
        return False


def open_device(path: str, *, writable: bool = False) -> DeviceFileSource:
    """The block device `path` for reading, or alone for writing too. Raises IoError, BusyError."""
    try:
        fd = os.open(path, os.O_CLOEXEC | (os.O_RDWR | os.O_EXCL if writable else os.O_RDONLY))
    except OSError as error:
        raise from_os(error, path) from error
    try:
        return DeviceFileSource(fd, path)
    except BaseException:
        os.close(fd)
        raise
