"""Files, directories and links made below a directory that they cannot leave.

Every name is one plain part, made relative to a descriptor of its directory; nothing is followed,
nothing is opened that was there before. A file has a temporary name until it is whole.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from diskimage.errors import ExistsError, MissingError, UnsafeNameError, UnsupportedError, from_os
from diskimage.sources.file import checked_name

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_DIRECTORY", 0)


class Directory:
    """An open directory of the target. `path` is for messages only."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self.path = path

    def _told(self, name: str) -> str:
        return os.path.join(self.path, name)

    def has(self, name: str) -> bool:
        """Whether the name is taken, be it by a link that leads nowhere."""
        try:
            os.lstat(name, dir_fd=self._fd)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise from_os(error, self._told(name)) from error
        return True

    def enter(self, name: str, mode: int = 0o777) -> tuple[Directory, bool]:
        """The directory `name`, and whether it was made for this.

        `mode` is cut by the umask; the owner keeps all rights. Raises UnsafeNameError where a link
        or a file has the name.
        """
        made = True
        try:
            os.mkdir(name, mode & 0o777 | 0o700, dir_fd=self._fd)
        except FileExistsError:
            made = False
        except OSError as error:
            raise from_os(error, self._told(name)) from error
        try:
            fd = os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=self._fd)
        except OSError as error:
            if made:
                raise from_os(error, self._told(name)) from error
            message = "is there and is no directory: files in it could land elsewhere"
            raise UnsafeNameError(message, file=self._told(name)) from error
        return Directory(fd, self._told(name)), made

    @contextmanager
    def create(self, name: str, mode: int, *, overwrite: bool = False) -> Iterator[int]:
        """A descriptor to write the file `name` by; it appears when the block ends well.

        `mode` is cut by the umask. With `overwrite` another file or link of the name is replaced,
        never written through. Raises ExistsError.
        """
        temporary = f".{secrets.token_hex(8)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(temporary, flags, mode & 0o777, dir_fd=self._fd)
        except OSError as error:
            raise from_os(error, self._told(name)) from error
        try:
            try:
                yield fd
            finally:
                os.close(fd)
            self._publish(temporary, name, overwrite)
        except IsADirectoryError:
            raise ExistsError("is there and is a directory", file=self._told(name)) from None
        except OSError as error:
            raise from_os(error, self._told(name)) from error
        finally:
            with suppress(FileNotFoundError):  # published
                os.unlink(temporary, dir_fd=self._fd)

    def _publish(self, temporary: str, name: str, overwrite: bool) -> None:
        here = {"src_dir_fd": self._fd, "dst_dir_fd": self._fd}
        if overwrite:
            os.replace(temporary, name, **here)
            return
        try:
            os.link(temporary, name, **here, follow_symlinks=False)  # it never replaces
        except FileExistsError:
            raise
        except OSError:  # no hard links here (FAT, some network file systems)
            if self.has(name):
                raise
            os.rename(temporary, name, **here)

    def link(self, name: str, target: str, *, overwrite: bool = False) -> None:
        """Make a symbolic link. Raises ExistsError."""
        try:
            if overwrite and self.has(name):
                os.unlink(name, dir_fd=self._fd)
            os.symlink(target, name, dir_fd=self._fd)
        except IsADirectoryError:
            raise ExistsError("is there and is a directory", file=self._told(name)) from None
        except OSError as error:
            raise from_os(error, self._told(name)) from error

    def readlink(self, parts: tuple[str, ...]) -> str | None:
        """The target of the link at `parts` below; None where there is no link."""
        try:
            return os.readlink("/".join(parts), dir_fd=self._fd)
        except OSError:
            return None

    def free(self) -> int:
        """Bytes that the file system has room for."""
        room = os.fstatvfs(self._fd)
        return room.f_bavail * room.f_frsize

    def touch(self, mtime: float) -> None:
        """Set the directory's own time."""
        set_time(self._fd, mtime)

    def close(self) -> None:
        """Close the descriptor; twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_directory(path: str | os.PathLike[str]) -> Directory:
    """An existing directory. Raises MissingError, ExistsError for a file, UnsupportedError."""
    if os.open not in os.supports_dir_fd:
        raise UnsupportedError("this system has no calls relative to an open directory")
    name = checked_name(os.fspath(path))
    try:
        return Directory(os.open(name, _FLAGS), name)
    except NotADirectoryError:
        raise ExistsError("is not a directory", file=name, remedy="name another place") from None
    except FileNotFoundError:
        raise MissingError("no such directory", file=name, remedy="make it first") from None
    except OSError as error:
        raise from_os(error, name) from error


def set_time(fd: int, mtime: float) -> None:
    """Set a file's times by descriptor; a file system that cannot hold the year keeps its own."""
    with suppress(OSError, OverflowError):
        os.utime(fd, (mtime, mtime))
