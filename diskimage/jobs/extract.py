"""Files of an image to a directory, which they cannot leave.

Names are judged before anything is written; files appear whole; links are made last, and only those
that end inside the target when all links of the run are followed; devices and FIFOs are never made;
permissions are cut by the umask, without setuid, setgid and sticky bits; owners are not applied.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from threading import Event
from typing import Literal, TypeAlias, Unpack

from diskimage.engine.progress import Report, Watch
from diskimage.errors import ExistsError, NoSpaceError, UnsafeNameError, UsageError
from diskimage.filesystems import Entry, FileSystem
from diskimage.image import Image
from diskimage.jobs.ls import files_of
from diskimage.jobs.opening import Opening, told
from diskimage.model import Finding
from diskimage.sinks.directory import Directory, open_directory, set_time
from diskimage.sinks.file import write_all
from diskimage.sources.anything import What
from diskimage.words import escape

Mode: TypeAlias = Literal["strict", "rename"]
Parts: TypeAlias = tuple[str, ...]

_CHUNK = 1 << 20
_NAME_BYTES = 255  # NAME_MAX of every common file system
_LINKS = 40  # followed one after the other: what Linux allows
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CLOCK$"}
_DEVICES |= {f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10)}


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What was made, and what was not: `skipped` counts devices, FIFOs and links that leave."""

    target: str
    files: int
    directories: int
    links: int
    bytes: int
    skipped: int
    warnings: tuple[Finding, ...]

    def to_json(self) -> dict[str, object]:
        """The document of `extract --json`."""
        return {**asdict(self), "warnings": told(self.warnings)}


def extract(
    image: Image | What,
    target: str | os.PathLike[str],
    paths: Iterable[str] = ("/",),
    *,
    mode: Mode = "strict",
    overwrite: bool = False,
    tree: str | None = None,
    progress: Report | None = None,
    cancel: Event | None = None,
    **how: Unpack[Opening],
) -> ExtractReport:
    """Extract `paths` and all below them, under their full paths, to `target`, a directory.

    `mode` "strict" raises UnsafeNameError for a name that cannot be made safely; "rename" escapes
    it with a warning. What is there raises ExistsError unless `overwrite`. Raises NoSpaceError
    before anything is written where it cannot fit, ContentError, IoError, CancelledError.
    """
    if mode not in ("strict", "rename"):
        raise UsageError(f"mode {mode!r}: strict or rename")
    with ExitStack() as stack:
        source, files = stack.enter_context(files_of(image, tree, **how))
        wanted = _tops(paths)
        root = open_directory(target)
        stack.callback(root.close)
        run = _Run(files, root, mode, overwrite, Watch(progress, cancel))
        run.survey(wanted)
        for parts in wanted:
            run.top(parts)
        run.make_links()
        return ExtractReport(
            target=os.fspath(target),
            files=run.files,
            directories=run.directories,
            links=run.links,
            bytes=run.bytes,
            skipped=run.skipped,
            warnings=source.warnings,
        )


def _tops(paths: Iterable[str]) -> list[Parts]:
    """The paths that were asked for, without those inside another."""
    split = sorted({tuple(p for p in path.split("/") if p not in ("", ".")) for path in paths})
    if any(".." in parts for parts in split):
        raise UsageError("paths to extract are named without '..'")
    tops: list[Parts] = []
    for parts in split:
        if not tops or parts[: len(tops[-1])] != tops[-1]:
            tops.append(parts)
    return tops


@dataclass(slots=True)
class _Place:
    """A directory of the target, and the names this run gave in it."""

    directory: Directory
    parts: Parts
    mtime: float | None = None  # to be set when everything in it is made
    made: set[str] = field(default_factory=set)
    folded: dict[str, int] = field(default_factory=dict)  # without case; how often

    def leave(self) -> None:
        """Set the time, close the descriptor."""
        if self.mtime is not None:
            self.directory.touch(self.mtime)
        self.directory.close()


@dataclass(slots=True)
class _Run:
    """One extraction: what was made so far."""

    filesystem: FileSystem
    root: Directory
    mode: Mode
    overwrite: bool
    watch: Watch
    files: int = 0
    directories: int = 0
    links: int = 0
    bytes: int = 0
    skipped: int = 0
    waiting: dict[Parts, str] = field(default_factory=dict)  # links to make: where, target
    folded: dict[Parts, str] = field(default_factory=dict)  # the same, names without case
    buffer: bytearray = field(default_factory=lambda: bytearray(_CHUNK))
    stack: list[_Place] = field(default_factory=list)

    def survey(self, tops: Sequence[Parts]) -> None:
        """Judge all names and sizes: what the directories tell fails before a byte is written."""
        total = 0
        for parts in tops:
            for part in parts:
                self._named(part, "/".join(parts))
            top = self.filesystem.stat(parts, follow=False)
            total += self._weight(top)
            for _, entry in self.filesystem.walk(top) if top.kind == "dir" else ():
                self._named(entry.name, entry.path)
                total += self._weight(entry)
        room = self.root.free()
        if total > room:
            message = f"the files take {total} bytes, the target has room for {room}"
            raise NoSpaceError(message, file=self.root.path)
        self.watch.begin("extract", total)

    def _weight(self, entry: Entry) -> int:
        """Bytes that an entry will take. Raises its fault; a link's is told when it is its turn."""
        if entry.kind == "file":
            return self.filesystem.open(entry).size
        if entry.fault is not None and entry.kind != "link":
            raise entry.fault
        return 0

    def top(self, parts: Parts) -> None:
        """Make what was asked for at `parts`, with the directories above and all below."""
        self.stack = self.stack[:1] or [_Place(self.root, ())]
        try:
            for part in parts[:-1]:
                self._enter(self._named(part, part), None)
            entry = self.filesystem.stat(parts, follow=False)
            if parts:
                self._make(entry)
            level = len(self.stack) - 1
            for depth, found in self.filesystem.walk(entry) if entry.kind == "dir" else ():
                self._leave(level + depth)
                self._make(found)
        finally:
            self._leave(1)

    def _leave(self, left: int) -> None:
        """Leave directories until `left` are entered."""
        while len(self.stack) > left:
            self.stack.pop().leave()

    def _make(self, entry: Entry) -> None:
        """Make one entry in the directory entered last."""
        place = self.stack[-1]
        name = self._free(place, self._named(entry.name, entry.path), entry)
        if entry.kind == "dir":
            self._enter(name, entry)
        elif entry.kind == "file":
            self._file(place, name, entry)
        elif entry.kind == "link" and entry.fault is not None:
            self._skip(f"{entry.path}: {entry.fault.message}", entry, entry.fault.kind)
        elif entry.kind == "link":
            where = (*place.parts, name)
            self.waiting[where] = self.folded[_folded(where)] = entry.target or ""
        else:
            what = f"{entry.kind} device" if entry.kind in ("char", "block") else entry.kind
            self._skip(f"{entry.path} is a {what}", entry)

    def _skip(self, what: str, entry: Entry | None = None, kind: str = "unsupported") -> None:
        self.skipped += 1
        self.filesystem.warn(kind, f"{what}; not made", entry)

    def _enter(self, name: str, entry: Entry | None) -> None:
        """Enter a directory, made where it is not there."""
        place = self.stack[-1]
        mode = 0o777 if entry is None or entry.mode is None else entry.mode
        directory, made = place.directory.enter(name, mode)
        self.directories += made
        mtime = entry.mtime if made and entry is not None else None
        self.stack.append(_Place(directory, (*place.parts, name), mtime))

    def _file(self, place: _Place, name: str, entry: Entry) -> None:
        source = self.filesystem.open(entry)
        mode = 0o666 if entry.mode is None else entry.mode
        view = memoryview(self.buffer)
        with place.directory.create(name, mode, overwrite=self.overwrite) as fd:
            for at in range(0, source.size, _CHUNK):
                piece = view[: min(_CHUNK, source.size - at)]
                source.read_into(at, piece)
                write_all(fd, at, piece, entry.path)
                self.watch.passed(len(piece), written=len(piece))
            if entry.mtime is not None:
                set_time(fd, entry.mtime)
        self.files += 1
        self.bytes += source.size

    def _named(self, name: str, path: str) -> str:
        """A name that can be made on this system. Raises UnsafeNameError unless renaming."""
        wrong = _unsafe(name)
        if wrong is None:
            odd = _odd(name)
            if odd is not None:
                self.filesystem.warn("name", f"{path}: {odd}")
            return name
        if self.mode == "strict":
            remedy = "extract with renaming (mode rename) to get it under another name"
            raise UnsafeNameError(f"{path}: a name {wrong}", file=self.root.path, remedy=remedy)
        renamed = _renamed(name)
        self.filesystem.warn("unsafe-name", f"{path}: a name {wrong}; written as {renamed}")
        return renamed

    def _free(self, place: _Place, name: str, entry: Entry) -> str:
        """`name`, or with a suffix where this run gave it away already. Raises ExistsError."""
        (fold,) = _folded((name,))
        present = entry.kind != "dir" and place.directory.has(name)
        times = place.folded.get(fold, 0)
        place.folded[fold] = times + 1
        if name in place.made or (times and present):
            renamed = self._free(place, f"{name}~{times + 1}", entry)
            self.filesystem.warn("name", f"{entry.path} is there twice; written as {renamed}")
            return renamed
        if present and not self.overwrite:
            taken = f"{place.directory.path}{os.sep}{name}"
            raise ExistsError("already exists", file=taken, remedy="use --overwrite")
        place.made.add(name)
        return name

    def make_links(self) -> None:
        """Make the links that end inside the target."""
        for where, target in self.waiting.items():
            if not target or "\0" in target or not self._inside(where[:-1], target):
                self._skip(f"{'/'.join(where)}: a link to {target!r}", kind="unsafe-name")
                continue
            with ExitStack() as stack:
                directory = self.root
                for part in where[:-1]:
                    directory, _ = directory.enter(part)
                    stack.callback(directory.close)
                directory.link(where[-1], target, overwrite=self.overwrite)
            self.links += 1

    def _inside(self, folder: Parts, target: str) -> bool:
        """Whether a link in `folder` ends below the root when all links of the run are there.

        A link that is fine by itself may leave through one that is made after it, so all of them
        are followed, those of the target directory too.
        """
        trail, pending, followed = list(folder), target.split("/")[::-1], 0
        if target.startswith("/"):
            return False
        while pending:
            part = pending.pop()
            if part == "..":
                if not trail:
                    return False
                trail.pop()
            elif part not in ("", "."):
                trail.append(part)
                onward = self._onward(tuple(trail))
                if onward is None:
                    continue
                followed += 1
                if onward.startswith("/") or followed > _LINKS:
                    return False
                trail.pop()
                pending += onward.split("/")[::-1]
        return True

    def _onward(self, where: Parts) -> str | None:
        """Where a link at `where` leads, made in this run or before; None where none is."""
        for known, key in ((self.waiting, where), (self.folded, _folded(where))):
            if key in known:
                return known[key]
        return self.root.readlink(where)


def _folded(parts: Parts) -> Parts:
    """Names as a file system takes them that knows neither case nor composition."""
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)


def _unsafe(name: str) -> str | None:
    """Why a name cannot be made, as the end of a sentence; None where it can."""
    if name in ("", ".", ".."):
        return "that is no name"
    for separator in {"/", "\0", os.sep, os.altsep or os.sep}:
        if separator in name:
            return "with a NUL" if separator == "\0" else f"with {separator!r}"
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:
        return "that this system cannot write"
    return None if length <= _NAME_BYTES else f"of {length} bytes"


def _renamed(name: str) -> str:
    """An unsafe name with what is wrong in it as %XX, and cut to what fits."""
    wrong = {"%", "/", "\0", os.sep, os.altsep or os.sep}
    if not name.strip("."):
        wrong.add(".")
    text = "".join(f"%{ord(c):02X}" if c in wrong else c for c in name) or "%"
    return text.encode("utf-8", "replace")[: _NAME_BYTES - 15].decode("utf-8", "ignore")


def _odd(name: str) -> str | None:
    """What other systems, or terminals, make of a name that this one takes."""
    stem = name.partition(".")[0].rstrip(" ").upper()
    if stem in _DEVICES:
        return "the name of a device on Windows"
    if name != escape(name):
        return "a name with control characters"
    if any(c in name for c in '<>:"\\|?*') or name.endswith((" ", ".")):
        return "a name that Windows does not allow"
    return None
