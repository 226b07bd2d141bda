"""A binary file object that can seek: one position, so one reader at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Lock
from typing import BinaryIO

from diskimage.errors import UnsupportedError, UsageError, from_os


def _closed(name: str) -> UsageError:
    return UsageError("is closed", file=name, remedy="keep it open while it is read")


class FileObjectSource:
    """A source over an open binary file, left open when the source is closed."""

    fd: int | None = None

    def __init__(self, file: BinaryIO, name: str | None = None) -> None:
        self._file = file
        self._lock = Lock()
        self.name = name or str(getattr(file, "name", "<file object>"))
        try:
            binary, seekable = isinstance(file.read(0), bytes), file.seekable()
            self.size = file.seek(0, os.SEEK_END) if seekable else 0
        except OSError as error:
            raise from_os(error, self.name) from error
        except ValueError as error:
            raise _closed(self.name) from error
        if not binary:
            raise UsageError("is open as text", file=self.name, remedy='open it with mode "rb"')
        if not seekable:
            raise UnsupportedError("cannot seek in it", file=self.name, remedy="save it to a file")

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end."""
        done = 0
        with self._lock:
            try:
                self._file.seek(at)
                while done < len(buffer):
                    piece = self._file.read(len(buffer) - done)
                    if not piece:
                        break
                    buffer[done : done + len(piece)] = piece
                    done += len(piece)
            except OSError as error:
                raise from_os(error, self.name, at=at + done) from error
            except ValueError as error:
                raise _closed(self.name) from error
        return done

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of it counts as stored."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """The file stays its owner's."""
