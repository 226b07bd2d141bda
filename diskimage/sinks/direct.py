"""Writes past the page cache: O_DIRECT where place, length and memory allow it (open(2))."""

from __future__ import annotations

import errno
import os
from typing import Protocol

from diskimage.errors import from_os
from diskimage.model import Target
from diskimage.sources.direct import ALIGN, open_direct


class Placed(Target, Protocol):
    """A target with a path of its own."""

    @property
    def path(self) -> str: ...


class Inner(Protocol):
    """A sink whose targets have paths."""

    def target(self, file: str = "") -> Placed: ...
    def commit(self) -> None: ...
    def abort(self) -> None: ...


class DirectTarget:
    """`inner` written by a second descriptor with O_DIRECT; odd pieces by the cache."""

    fd: int | None = None

    def __init__(self, inner: Placed) -> None:
        self._inner = inner
        self._direct = open_direct(inner.path, os.O_WRONLY)

    @property
    def name(self) -> str:
        """The output's name."""
        return self._inner.name

    @property
    def path(self) -> str:
        """Where it is written."""
        return self._inner.path

    @property
    def fresh(self) -> bool:
        """Whether unwritten bytes read as zeros."""
        return self._inner.fresh

    @property
    def active(self) -> bool:
        """Whether the file system takes direct writes at all."""
        return self._direct is not None

    def write(self, to: int, data: memoryview) -> None:
        """Write all of `data` at `to`."""
        done = 0
        if self._direct is not None and to % ALIGN == 0:
            done = self._aligned(self._direct, to, data[: len(data) // ALIGN * ALIGN])
        if done < len(data):
            self._inner.write(to + done, data[done:])

    def _aligned(self, direct: int, to: int, data: memoryview) -> int:
        done = 0
        while done < len(data):
            try:
                done += os.pwrite(direct, data[done:], to + done)
            except OSError as error:
                if error.errno == errno.EINVAL:  # memory that is not aligned
                    break
                raise from_os(error, self.name, at=to + done) from error
        return done

    def zero(self, to: int, length: int) -> None:
        """Make [to, to + length) read as zeros."""
        self._inner.zero(to, length)

    def resize(self, size: int) -> None:
        """Set the size."""
        self._inner.resize(size)

    def sync(self) -> None:
        """Make what was written durable."""
        self._inner.sync()

    def close(self) -> None:
        """Close the direct descriptor; twice is harmless."""
        if self._direct is not None:
            os.close(self._direct)
            self._direct = None


class DirectSink:
    """A sink with one output, written past the page cache."""

    def __init__(self, inner: Inner) -> None:
        self._inner = inner
        self._target: DirectTarget | None = None

    def target(self, file: str = "") -> DirectTarget:
        """The output, made on first use."""
        if self._target is None:
            self._target = DirectTarget(self._inner.target(file))
        return self._target

    def commit(self) -> None:
        """Publish."""
        self._close()
        self._inner.commit()

    def abort(self) -> None:
        """Remove what was written."""
        self._close()
        self._inner.abort()

    def _close(self) -> None:
        if self._target is not None:
            self._target.close()
