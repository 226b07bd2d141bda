"""A file or device written where it stands: no temporary name, so what was written is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from shlex import quote

from diskimage.errors import TooSmallError, UnsupportedError, from_os
from diskimage.kernels import copying
from diskimage.model import Device, Disc, Format, Reference, Source, Writable
from diskimage.sinks.file import write_all, write_zeros


class InPlaceSink:
    """A sink over an open descriptor, which stays its owner's; it is its own only target."""

    fresh = False

    def __init__(self, fd: int, name: str) -> None:
        self.fd: int | None = fd
        self._fd = fd
        self.name = name

    def target(self, file: str = "") -> InPlaceSink:
        """Itself; nothing is made beside a file that is written in place."""
        if file:
            raise UnsupportedError(f"cannot write a second file, {file!r}", file=self.name)
        return self

    def write(self, to: int, data: memoryview) -> None:
        """Write all of `data` at `to`."""
        write_all(self._fd, to, data, self.name)

    def zero(self, to: int, length: int) -> None:
        """Make [to, to + length) a hole, or zeros where there are none."""
        if not copying.punch(self._fd, to, length):
            write_zeros(self._fd, to, length, self.name)

    def resize(self, size: int) -> None:
        """Make the file longer or shorter. TooSmallError for a device, which stays as it is."""
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise TooSmallError(f"a device cannot become {size} bytes", file=self.name,
                                remedy="write a copy to a file")  # fmt: skip
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

    def commit(self) -> None:
        """What was written is written; make it durable."""
        self.sync()

    def abort(self) -> None:
        """What was written cannot be taken back."""


def in_place(
    source: Source, rules: Format, opened: Device | Disc, references: Iterable[Reference]
) -> InPlaceSink:
    """Where an open image is written as it stands. UnsupportedError says what to do instead."""
    wrong = ""
    if source.fd is None:
        wrong = "is not a file or device of this system, and those alone are written in place"
    elif any(one.role == "part" and one.opened for one in references):
        wrong = "a set of parts is not written in place"
    elif "write" not in rules.can:
        wrong = f"{rules.name} is not written in place"
    elif not isinstance(opened, Writable):
        why = opened.info.get("unwritable")
        wrong = f"this kind of {rules.name} is not written in place{f': {why}' if why else ''}"
    if not wrong and source.fd is not None:
        return InPlaceSink(source.fd, source.name)
    remedy = "convert it to a raw image, and write into that"
    if source.fd is not None and not isinstance(opened, Disc):
        name = os.path.basename(source.name)
        remedy = (
            "write into an overlay on it: diskimage create OVERLAY.qcow2"
            f" -o {quote(f'backing={name}')} -o backing_format={rules.name}"
        )
    raise UnsupportedError(wrong, file=source.name, remedy=remedy)
