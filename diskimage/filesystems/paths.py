"""Paths inside an image, like those of pathlib."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import IO, Any

from diskimage.errors import LoopError, MissingError, UsageError
from diskimage.filesystems.entries import Entry
from diskimage.filesystems.filesystem import FileSystem, Visited
from diskimage.model import Source
from diskimage.sources.rawfile import RawFile
from diskimage.words import escape


class ImagePath:
    """A path inside an image: as much of `pathlib.Path` as reading needs, and a `Traversable`."""

    __slots__ = ("_entry", "_parts", "filesystem")

    def __init__(
        self, filesystem: FileSystem, parts: tuple[str, ...] = (), entry: Entry | None = None
    ) -> None:
        self.filesystem = filesystem
        self._parts = parts
        self._entry = entry

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts below the root."""
        return self._parts

    @property
    def name(self) -> str:
        """The last part; "" for the root."""
        return self._parts[-1] if self._parts else ""

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The name's last suffix with its dot, or ""."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> ImagePath:
        """The directory that holds it; the root's is the root."""
        return ImagePath(self.filesystem, self._parts[:-1])

    def joinpath(self, *others: str | os.PathLike[str]) -> ImagePath:
        """The path `others` further down; one that begins with "/" starts again at the root."""
        parts = list(self._parts)
        for other in others:
            text = os.fspath(other)
            if text.startswith("/"):
                parts.clear()
            parts += [part for part in text.split("/") if part not in ("", ".")]
        return ImagePath(self.filesystem, tuple(parts))

    def __truediv__(self, other: str | os.PathLike[str], /) -> ImagePath:
        return self.joinpath(other)

    def lstat(self) -> Entry:
        """The entry itself, be it a link. Raises MissingError."""
        if self._entry is None:
            self._entry = self.filesystem.stat(self._parts, follow=False)
        return self._entry

    def stat(self) -> Entry:
        """The entry, or what a link points to. Raises MissingError, LoopError."""
        entry = self.lstat()
        return self.filesystem.stat(self._parts) if entry.kind == "link" else entry

    def _kind(self) -> str:
        try:
            return self.stat().kind
        except (MissingError, LoopError):
            return ""

    def exists(self) -> bool:
        """Whether there is such an entry, links followed."""
        return bool(self._kind())

    def is_file(self) -> bool:
        """Whether it is a regular file, links followed."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Whether it is a directory, links followed."""
        return self._kind() == "dir"

    def is_symlink(self) -> bool:
        """Whether it is a link."""
        try:
            return self.lstat().kind == "link"
        except (MissingError, LoopError):
            return False

    def readlink(self) -> str:
        """A link's target as stored. Raises UsageError where it is none."""
        entry = self.lstat()
        if entry.target is None:
            raise UsageError(f"{entry.path} is a {entry.kind}, not a link")
        return entry.target

    def iterdir(self) -> Iterator[ImagePath]:
        """The paths in a directory, as stored."""
        for entry in self.filesystem.children(self.stat()):
            yield ImagePath(self.filesystem, (*self._parts, entry.name), entry)

    def walk(self) -> Iterator[tuple[ImagePath, list[str], list[str]]]:
        """(directory, names of directories, names of the rest), as pathlib's walk, top down."""
        visited, stack = Visited(), [self]
        visited.enter(self.stat())
        while stack:
            here = stack.pop()
            below: list[ImagePath] = []
            rest: list[ImagePath] = []
            for path in here.iterdir():
                (below if path.lstat().kind == "dir" else rest).append(path)
            yield here, [path.name for path in below], [path.name for path in rest]
            stack += [path for path in reversed(below) if visited.enter(path.lstat())]

    def glob(self, pattern: str) -> Iterator[ImagePath]:
        """The paths below that match: "*", "?", "[...]" in a part, "**" for any number of parts.

        Links to directories are not followed.
        """
        wanted = [part for part in pattern.split("/") if part]
        depth = None if "**" in wanted else len(wanted)
        parts = list(self._parts)
        for level, entry in self.filesystem.walk(self.stat()):
            del parts[len(self._parts) + level - 1 :]
            parts.append(entry.name)
            if depth not in (None, level):
                continue
            if _matches(parts[len(self._parts) :], wanted):
                yield ImagePath(self.filesystem, tuple(parts), entry)

    def source(self) -> Source:
        """The file's bytes as a Source, for what reads at positions."""
        return self.filesystem.open(self.stat())

    def open(
        self,
        mode: str = "r",
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """The file for reading: "rb" for bytes, "r" for text (UTF-8 unless `encoding` is given)."""
        if mode not in ("r", "rt", "rb"):
            raise UsageError(f"mode {mode!r}: files inside images are read-only")
        raw = io.BufferedReader(RawFile(self.source()), 1 << 16)
        if mode == "rb":
            return raw
        return io.TextIOWrapper(raw, encoding or "utf-8", errors, newline)

    def read_bytes(self) -> bytes:
        """The whole file."""
        with self.open("rb") as file:
            content: bytes = file.read()
        return content

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """The whole file as text, UTF-8 unless `encoding` is given."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def __str__(self) -> str:
        return "/" + "/".join(self._parts)

    def __repr__(self) -> str:
        return f"ImagePath('{escape(str(self))}')"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImagePath):
            return NotImplemented
        return (self.filesystem, self._parts) == (other.filesystem, other._parts)

    def __hash__(self) -> int:
        return hash(self._parts)


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether the parts of a path are what the parts of a pattern say."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_matches(parts[i:], patterns[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])
