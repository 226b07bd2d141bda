"""The face of a file system: look up, list, walk, open."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from diskimage.errors import LimitError, LoopError, MissingError, UsageError
from diskimage.filesystems.entries import Entry, Reader, Warn
from diskimage.limits import LIMITS, Limits
from diskimage.model import Source
from diskimage.words import escape

_LINKS = 40  # symbolic links of one look-up: what Linux allows (path_resolution(7))
_KEPT = 16384  # names of the last directory looked into: about 10 MiB


class Visited:
    """Which bytes directories took so far; one that overlaps another is not entered again.

    Without it a few records that share extents spell out 2^40 paths.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def add(self, at: int, length: int) -> bool:
        """Whether [at, at + length) was free; it is taken from now on."""
        i = bisect_right(self._starts, at)
        if i and self._stops[i - 1] > at:
            return False
        if i < len(self._starts) and self._starts[i] < at + length:
            return False
        self._starts.insert(i, at)
        self._stops.insert(i, at + length)
        return True

    def enter(self, directory: Entry) -> bool:
        """Whether a walk may list `directory`: it has not been there."""
        return all(self.add(at, length) for at, length in directory.extents)


class FileSystem:
    """A tree of files in a source. Nothing is read before it is asked for; safe in threads.

    Paths are strings with "/", absolute or not, resolved inside the image: links, bounded, cannot
    leave it, and ".." at the root stays there.
    """

    def __init__(self, reader: Reader, limits: Limits = LIMITS, warn: Warn | None = None) -> None:
        self._reader = reader
        self._limits = limits
        self._warn = warn or _silent
        self._last: tuple[Entry, dict[str, Entry]] | None = None

    @property
    def name(self) -> str:
        """What kind of file system: iso9660."""
        return self._reader.name

    @property
    def tree(self) -> str:
        """The tree that is shown: rock-ridge, joliet, enhanced or plain."""
        return self._reader.tree

    @property
    def trees(self) -> tuple[str, ...]:
        """All trees on the medium, the default first."""
        return self._reader.trees

    @property
    def info(self) -> Mapping[str, object]:
        """What the volume says of itself: label, times, programs."""
        return self._reader.info

    @property
    def root(self) -> Entry:
        """The directory "/"."""
        return self._reader.root

    def using(self, tree: str) -> FileSystem:
        """The same medium through another of `trees`; UsageError for one it does not have."""
        if tree not in self.trees:
            raise UsageError(f"no tree {tree!r}", remedy=f"choose one of {', '.join(self.trees)}")
        return FileSystem(self._reader.using(tree), self._limits, self._warn)

    def stat(self, path: str | Sequence[str], *, follow: bool = True) -> Entry:
        """The entry at `path`; with `follow` what a link at its end points to.

        Raises MissingError, LoopError (more than 40 links), LimitError, ContentError.
        """
        parts = path.split("/") if isinstance(path, str) else path
        pending, trail, links = list(reversed(parts)), [self._reader.root], 0
        while pending:
            part = pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del trail[max(1, len(trail) - 1) :]
                continue
            entry = self._child(trail[-1], part)
            if entry.kind != "link" or not (pending or follow):
                trail.append(entry)
                continue
            links += 1
            target = (entry.target or "").split("/")
            if links > _LINKS:
                raise LoopError(f"{entry.path}: more than {_LINKS} links one after the other")
            if len(pending) + len(target) > self._limits.path_bytes:
                raise LimitError(f"{entry.path}: links lead to more parts than path_bytes allows")
            if not target[0]:
                del trail[1:]
            pending.extend(reversed(target))
        return trail[-1]

    def _child(self, directory: Entry, name: str) -> Entry:
        """The entry `name` of `directory`: the first one where several have the name."""
        if directory.kind != "dir":
            raise MissingError(f"{directory.path} is no directory", remedy="check the path")
        last = self._last
        if last is None or last[0].path != directory.path:
            listed = islice(self._reader.children(directory), _KEPT)
            last = directory, {entry.name: entry for entry in reversed(list(listed))}
            self._last = last
        found = last[1].get(name)
        if found is None and len(last[1]) >= _KEPT:
            listed = islice(self._reader.children(directory), _KEPT, None)
            found = next((entry for entry in listed if entry.name == name), None)
        if found is None:
            alike = next((n for n in last[1] if n.casefold() == name.casefold()), None)
            remedy = "list the directory" if alike is None else f"the name is {alike}"
            raise MissingError(f"no {name} in {directory.path}", remedy=escape(remedy))
        return found

    def iterdir(self, path: str = "/") -> Iterator[Entry]:
        """The entries of a directory as stored. Raises MissingError where it is none."""
        return self.children(self.stat(path))

    def children(self, directory: Entry) -> Iterator[Entry]:
        """The entries of a directory that was found before."""
        if directory.kind != "dir":
            raise MissingError(f"{directory.path} is no directory", remedy="check the path")
        return self._reader.children(directory)

    def walk(self, top: str | Entry = "/") -> Iterator[tuple[int, Entry]]:
        """(depth, entry) of everything below `top`, each directory before what it holds.

        Links are not followed. A directory whose bytes were walked before is listed but not
        entered, with a warning of kind "loop": pressed discs have that without malice. LimitError
        past `directory_depth` or `directory_entries`.
        """
        start = self.stat(top) if isinstance(top, str) else top
        visited, stack, count = Visited(), [self.children(start)], 0
        visited.enter(start)
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
                continue
            count += 1
            if count > self._limits.directory_entries:
                raise LimitError(f"more than {self._limits.directory_entries} entries")
            yield len(stack), entry
            if entry.kind != "dir":
                continue
            if not visited.enter(entry):
                self.warn("loop", f"{entry.path} is a directory met before; not entered", entry)
            elif len(stack) >= self._limits.directory_depth:
                raise LimitError(f"{entry.path}: deeper than {self._limits.directory_depth}")
            else:
                stack.append(self._reader.children(entry))

    def open(self, path: str | Entry) -> Source:
        """The bytes of a file. Raises UsageError for what is no file, and the entry's fault."""
        entry = self.stat(path) if isinstance(path, str) else path
        if entry.kind != "file":
            what = {"dir": "directory"}.get(entry.kind, entry.kind)
            raise UsageError(f"{entry.path} is a {what}, not a file", remedy="name a file")
        if entry.fault is not None:
            raise entry.fault
        if entry.coding is not None:
            self.warn("unsupported", f"{entry.path}: {entry.coding}; bytes given as stored", entry)
        return self._reader.content(entry)

    def warn(self, kind: str, message: str, entry: Entry | None = None) -> None:
        """Tell the caller of something odd at an entry."""
        self._warn(kind, message, entry.extents[0][0] if entry and entry.extents else None)

    def __repr__(self) -> str:
        label = escape(str(self.info.get("label", "")))
        return f"FileSystem({self.name}, {self.tree}, '{label}')"


def _silent(kind: str, message: str, at: int | None) -> None:
    """Nobody asked for warnings."""
