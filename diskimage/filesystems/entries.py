"""What is in a directory tree: entries, who lists them, and the bytes of a file as a Source."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol, TypeAlias

from diskimage.errors import DiskImageError, TruncatedError
from diskimage.model import Source

EntryKind: TypeAlias = Literal["file", "dir", "link", "char", "block", "fifo", "socket"]
Warn: TypeAlias = Callable[[str, str, int | None], None]
"""warn(kind, message, at): something odd that was survived."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a tree.

    `path` is absolute in the image; `name` its last part exactly as the image has it, so that a
    hostile one may hold "/" or be "..". `extents` are (at, length) in the source of the file
    system. `mode` holds permissions only, None where the image records none; `mtime` seconds since
    1970 in UTC. Entries with one `key` other than 0 are one file. `coding` names how the stored
    bytes are compressed, if they are. Reading an entry that has a `fault` raises it.
    """

    path: str
    name: str
    kind: EntryKind
    size: int = 0
    extents: tuple[tuple[int, int], ...] = ()
    mode: int | None = None
    mtime: float | None = None
    uid: int | None = None
    gid: int | None = None
    target: str | None = None
    key: int = 0
    device: tuple[int, int] | None = None  # major, minor
    hidden: bool = False
    coding: str | None = None
    fault: DiskImageError | None = None

    def to_json(self) -> dict[str, object]:
        """What is known of it; `mode` in octal digits, `mtime` in seconds since 1970."""
        shown: dict[str, object] = {"path": self.path, "name": self.name, "kind": self.kind}
        shown["size"] = self.size
        for what in ("mtime", "uid", "gid", "target", "device", "coding"):
            if (value := getattr(self, what)) is not None:
                shown[what] = value
        if self.mode is not None:
            shown["mode"] = f"{self.mode:04o}"
        if self.hidden:
            shown["hidden"] = True
        if self.fault is not None:
            shown["fault"] = self.fault.kind
        return shown


class Reader(Protocol):
    """What a file system must answer; everything people call is written over it once."""

    @property
    def name(self) -> str: ...
    @property
    def tree(self) -> str:
        """Which of its trees this reader shows."""
        ...

    @property
    def trees(self) -> tuple[str, ...]:
        """All trees on the medium, the one chosen by default first."""
        ...

    @property
    def info(self) -> Mapping[str, object]: ...
    @property
    def root(self) -> Entry: ...
    def children(self, directory: Entry) -> Iterator[Entry]:
        """The entries of a directory as stored, without itself and its parent."""
        ...

    def content(self, file: Entry) -> Source: ...
    def using(self, tree: str) -> Reader:
        """The same medium seen through another of `trees`."""
        ...


class Content:
    """The bytes of one file: extents of a source, one after the other.

    An extent that leaves the source is a TruncatedError when it is read, never zeros.
    """

    fd: int | None = None

    def __init__(self, source: Source, extents: tuple[tuple[int, int], ...], name: str) -> None:
        self._source = source
        self._extents = extents
        self._starts = list(accumulate((length for _, length in extents), initial=0))
        self.name = name
        self.size = self._starts[-1]

    def _pieces(self, at: int, stop: int) -> Iterator[tuple[int, int]]:
        """(at, length) in the source of [at, stop) of the file."""
        index = bisect_right(self._starts, at) - 1
        while at < min(stop, self.size):
            skip = at - self._starts[index]
            place, length = self._extents[index]
            part = min(length - skip, stop - at)
            yield place + skip, part
            at += part
            index += 1

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises TruncatedError, IoError."""
        done = 0
        for place, length in self._pieces(at, at + len(buffer)):
            got = 0
            if place < self._source.size:
                got = self._source.read_into(place, buffer[done : done + length])
            if got < length:
                raise TruncatedError(
                    f"{self.name} needs bytes {place} to {place + length}, the image has"
                    f" {self._source.size}",
                    file=self._source.name,
                    at=place + got,
                    remedy="the image is cut short: copy or download it again",
                )
            done += length
        return done

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """(at, stop, stored) of [at, stop) as the source has it."""
        for place, length in self._pieces(at, stop):
            for begin, end, stored in self._source.spans(place, place + length):
                yield at + begin - place, at + end - place, stored
            at += length

    def close(self) -> None:
        """Nothing of its own is held open."""

    def __repr__(self) -> str:
        return f"Content({self.name!r}, {self.size} bytes)"
