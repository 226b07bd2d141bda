"""A block device as a target: nobody else may use it, and what was on it is lost.

Linux: O_EXCL of a block device fails where the kernel holds it (open(2)); mounts, swap areas and
holders (dm, md, loop partitions) are looked at first, so that the message can say which.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from diskimage.errors import BusyError, TooSmallError, UnsupportedError, from_os
from diskimage.sinks.file import write_all, write_zeros
from diskimage.sources.device import geometry
from diskimage.words import size_text

BLKZEROOUT = 0x127F  # Linux, include/uapi/linux/fs.h: {start, length} in bytes, whole sectors
ZERO_PIECE = 256 << 20  # of one ioctl, which cannot be interrupted


class DeviceTarget:
    """An open block device; its old content shows wherever nothing was written.

    `leave`: let it, where nothing is to be written; nobody counts on zeros there.
    """

    def __init__(self, path: str, *, leave: bool = False) -> None:
        refuse_busy(path)
        self.fresh = leave
        self.name = self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
        except OSError as error:
            raise from_os(error, path) from error
        try:
            self.size, self._sector, _ = geometry(self._fd, path)
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def fd(self) -> int | None:
        """The descriptor, for kernels."""
        return self._fd

    def write(self, to: int, data: memoryview) -> None:
        """Write all of `data` at `to`. Raises TooSmallError past the end."""
        self.demand(to + len(data))
        write_all(self._fd, to, data, self.name)

    def zero(self, to: int, length: int) -> None:
        """Make [to, to + length) zeros, by the device itself where it can."""
        start = min(to + length, -(-to // self._sector) * self._sector)
        stop = max(start, (to + length) // self._sector * self._sector)
        write_zeros(self._fd, to, start - to, self.name)
        for at in range(start, stop, ZERO_PIECE):
            piece = min(ZERO_PIECE, stop - at)
            if not self._zero_out(at, piece):
                write_zeros(self._fd, at, piece, self.name)
        write_zeros(self._fd, stop, to + length - stop, self.name)

    def _zero_out(self, at: int, length: int) -> bool:
        from fcntl import ioctl  # not on Windows, where `geometry` has refused

        try:
            ioctl(self._fd, BLKZEROOUT, struct.pack("QQ", at, length))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP):
                return False
            raise from_os(error, self.name, at=at) from error
        return True

    def resize(self, size: int) -> None:
        """A device keeps its size; what lies behind `size` stays as it was."""
        self.demand(size)

    def demand(self, size: int) -> None:
        """TooSmallError where `size` bytes do not fit."""
        if size > self.size:
            raise TooSmallError(
                f"the device has {self.size} bytes, at least {size} ({size_text(size)}) are needed",
                file=self.name,
                remedy="take a larger device",
            )

    def sync(self) -> None:
        """Make what was written durable."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise from_os(error, self.name) from error

    def close(self) -> None:
        """Close the device; twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class DeviceSink:
    """A sink of one output: the block device `path`, which is to take at least `size` bytes."""

    def __init__(
        self, path: str, size: int = 0, *, durable: bool = True, leave: bool = False
    ) -> None:
        self._durable = durable
        self._target = DeviceTarget(path, leave=leave)
        try:
            self._target.demand(size)
        except BaseException:
            self._target.close()
            raise

    def target(self, file: str = "") -> DeviceTarget:
        """The device."""
        if file:
            raise UnsupportedError(f"a device cannot hold a second file, {file!r}")
        return self._target

    def commit(self) -> None:
        """Wait until the device has everything."""
        try:
            if self._durable:
                self._target.sync()
        finally:
            self._target.close()

    def abort(self) -> None:
        """What was written stays written."""
        self._target.close()


def refuse_busy(path: str) -> None:
    """BusyError where `path`, one of its partitions, or the disk it is a part of is in use."""
    number = os.stat(path).st_rdev
    used = dict(_used())
    for device, name in _related(number):
        if device in used:
            raise BusyError(f"{name} is {used[device]}", file=path, remedy="release it first")
        holders = _sys(device) / "holders"
        held = sorted(os.listdir(holders)) if holders.is_dir() else []
        if held:
            raise BusyError(f"{name} is held by {', '.join(held)}", file=path,
                            remedy="stop what uses it first")  # fmt: skip


def _sys(device: int) -> Path:
    return Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")


def _related(device: int) -> Iterator[tuple[int, str]]:
    """(number, name) of the device, of its partitions, and of the disk it is a partition of."""
    place = _sys(device).resolve()
    yield device, "it"
    if (place / "partition").exists():
        yield _number(place.parent), f"its disk {place.parent.name}"
    if place.is_dir():
        for below in sorted(place.iterdir()):
            if (below / "partition").exists():
                yield _number(below), f"its partition {below.name}"


def _number(place: Path) -> int:
    major, _, minor = (place / "dev").read_text(encoding="ascii").strip().partition(":")
    return os.makedev(int(major), int(minor))


def _used() -> Iterator[tuple[int, str]]:
    """(device, how it is used) of mounts and swap areas, as proc(5) lists them."""
    for line in _lines("/proc/self/mountinfo"):
        words = line.split()
        major, _, minor = words[2].partition(":")
        yield os.makedev(int(major), int(minor)), f"mounted on {words[4]}"
        yield from _block(words[words.index("-") + 2], f"mounted on {words[4]}")
    for line in _lines("/proc/swaps")[1:]:
        yield from _block(line.split()[0], "a swap area")


def _block(path: str, how: str) -> Iterator[tuple[int, str]]:
    try:
        device = os.stat(path).st_rdev
    except OSError:
        return  # a name of another namespace, or of no device
    if path.startswith("/") and device:
        yield device, how


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []  # no proc(5) here: O_EXCL alone has to tell
