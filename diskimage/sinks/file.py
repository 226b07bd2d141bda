"""Files that appear whole under their final names, or not at all.

Every output is written under `.NAME.XXXXXX.part` (a long NAME cut) in its own directory. `commit`
syncs all of them, renames the parts, then the main file, and syncs the directory; `abort` removes
what was written. A killed process leaves at most such a part file, never a half file under a final
name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from diskimage.errors import DiskImageError, ExistsError, MissingError, UsageError, from_os
from diskimage.kernels import copying
from diskimage.sources.file import checked_name

_KEPT = 60  # characters of a name in its temporary name: at most 240 of the 255 bytes there are


class FileTarget:
    """One output file under its temporary name."""

    fresh = True

    def __init__(self, folder: str, name: str) -> None:
        self.name = os.path.join(folder, name)
        part = f".{name[:_KEPT]}.{os.urandom(3).hex()}.part"
        self.path = os.path.join(folder, part)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        try:
            self._fd = os.open(self.path, flags | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise from_os(error, self.name) from error

    @property
    def fd(self) -> int | None:
        """The descriptor, for kernels."""
        return self._fd

    def write(self, to: int, data: memoryview) -> None:
        """Write all of `data` at `to`."""
        write_all(self._fd, to, data, self.name)

    def zero(self, to: int, length: int) -> None:
        """Make [to, to + length) a hole, or zeros where the file system has none."""
        end = os.fstat(self._fd).st_size
        if to >= end:
            return  # beyond what was written: Size makes it a hole
        length = min(length, end - to)
        if not copying.punch(self._fd, to, length):
            write_zeros(self._fd, to, length, self.name)

    def resize(self, size: int) -> None:
        """Set the size; a larger one ends in a hole."""
        try:
            os.ftruncate(self._fd, size)
        except OSError as error:
            raise from_os(error, self.name) from error

    def sync(self) -> None:
        """Make what was written durable."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise from_os(error, self.name) from error

    def close(self) -> None:
        """Close the descriptor; an error of a late write is raised."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                os.close(fd)
            except OSError as error:
                raise from_os(error, self.name) from error


class FileSink:
    """The main output at `path` and others beside it.

    `overwrite=False` raises ExistsError before anything is written, and again at the end should the
    name have been taken meanwhile. `durable=False` skips syncing. `guard` is asked of every final
    path and raises where it must not be replaced: a file that the source is read from.
    """

    def __init__(
        self,
        path: str,
        *,
        overwrite: bool = False,
        durable: bool = True,
        guard: Callable[[str], None] | None = None,
    ) -> None:
        self._folder, self._main = os.path.split(checked_name(os.fspath(path)))
        self._overwrite, self._durable, self._guard = overwrite, durable, guard
        self._targets: dict[str, FileTarget] = {}
        if not os.path.isdir(self._folder or "."):
            raise MissingError("no such directory", file=self._folder, remedy="make it first")
        if not self._main:
            raise UsageError("is a directory", file=path, remedy="name a file in it")
        self._refuse_existing(self._main)

    def target(self, file: str = "") -> FileTarget:
        """The output `file`, made on first use; "" is the main one."""
        name = file or self._main
        if os.path.basename(name) != name or name in (".", ".."):
            raise UsageError(f"an output beside the main one has a plain name, not {name!r}")
        if name not in self._targets:
            self._refuse_existing(name)
            self._targets[name] = FileTarget(self._folder, name)
        return self._targets[name]

    @property
    def names(self) -> list[str]:
        """The final paths of all outputs, the main one last."""
        ordered = sorted(self._targets, key=lambda name: (name == self._main, name))
        return [os.path.join(self._folder, name) for name in ordered]

    def commit(self) -> None:
        """Sync, rename the parts, then the main file, then sync the directory."""
        self.target()
        done: list[str] = []
        try:
            for target in self._targets.values():
                if self._durable:
                    target.sync()
                target.close()
            for final in self.names:
                self._publish(self._targets[os.path.basename(final)].path, final)
                done.append(final)
            if self._durable:
                _sync_folder(self._folder or ".")
        except BaseException:
            if not self._overwrite:  # what replaced an old file stays: the old one is gone
                for final in done:
                    _remove(final)
            self.abort()
            raise

    def abort(self) -> None:
        """Remove every temporary file."""
        for target in self._targets.values():
            with suppress(DiskImageError):  # the error that led here is the one to tell
                target.close()
            _remove(target.path)

    def _publish(self, temporary: str, final: str) -> None:
        try:
            if self._overwrite:
                os.replace(temporary, final)
                return
            os.link(temporary, final, follow_symlinks=False)  # unlike rename, it never replaces
            os.unlink(temporary)
        except FileExistsError:
            raise _exists(final) from None
        except OSError as error:
            if self._overwrite or os.path.lexists(final):
                raise from_os(error, final) from error
            _rename(temporary, final)  # no hard links here (FAT, some network file systems)

    def _refuse_existing(self, name: str) -> None:
        final = os.path.join(self._folder, name)
        if self._guard is not None:
            self._guard(final)
        if os.path.isdir(final):
            raise UsageError("is a directory", file=final, remedy="name a file in it")
        if os.path.exists(final) and not os.path.isfile(final):  # never rename over /dev/null
            raise UsageError("is no regular file", file=final, remedy="name a file")
        if not self._overwrite and os.path.lexists(final):
            raise _exists(final)


def _exists(path: str) -> ExistsError:
    return ExistsError("already exists", file=path, remedy="use --overwrite, or another name")


def write_all(fd: int, to: int, data: memoryview, name: str) -> None:
    """Write all of `data` at `to` of `fd`. Raises IoError, NoSpaceError with `name`."""
    done = 0
    while done < len(data):
        try:
            done += os.pwrite(fd, data[done:], to + done)
        except OSError as error:
            raise from_os(error, name, at=to + done) from error


def write_zeros(fd: int, to: int, length: int, name: str) -> None:
    """Write `length` zeros at `to`, a MiB at a time."""
    zeros = memoryview(bytes(min(length, 1 << 20)))
    while length:
        piece = zeros[: min(length, len(zeros))]
        write_all(fd, to, piece, name)
        to, length = to + len(piece), length - len(piece)


def _remove(path: str) -> None:
    """Remove what was written, where it is and can be: the error before is the one to tell."""
    with suppress(OSError):
        os.unlink(path)


def _rename(temporary: str, final: str) -> None:
    try:
        os.rename(temporary, final)
    except OSError as error:
        raise from_os(error, final) from error


def _sync_folder(folder: str) -> None:
    """Make names of `folder` durable, where it may be read: without that it cannot be synced."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    except OSError as error:
        raise from_os(error, folder) from error
    try:
        os.fsync(fd)
    except OSError as error:
        raise from_os(error, folder) from error
    finally:
        os.close(fd)
