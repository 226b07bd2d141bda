"""The tree of an ISO 9660 volume as entries: plain, enhanced, Joliet or Rock Ridge."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace

from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    MissingError,
    UnsupportedError,
)
from diskimage.filesystems.entries import Content, Entry, EntryKind, Warn
from diskimage.filesystems.iso9660 import susp
from diskimage.filesystems.iso9660.descriptors import Descriptors, Volume, scan
from diskimage.filesystems.iso9660.records import (
    ASSOCIATED,
    CONTINUED,
    DIRECTORY,
    HIDDEN,
    PARENT,
    SECTOR,
    SELF,
    Record,
    records,
    seconds,
)
from diskimage.limits import Limits
from diskimage.model import Source

ORDER = ("rock-ridge", "joliet", "enhanced", "plain")  # the first that is there is the default
_KINDS: dict[int, EntryKind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


class Tree:
    """A reader of one tree of the volume. Holds descriptors, no entries; safe in threads."""

    name = "iso9660"

    def __init__(
        self,
        source: Source,
        found: Descriptors,
        trees: tuple[str, ...],
        tree: str,
        limits: Limits,
        warn: Warn,
    ) -> None:
        self.trees = trees
        self.tree = tree
        self._source = source
        self.found = found
        self.volume = _volume(found, "plain" if tree == "rock-ridge" else tree)
        self._limits = limits
        self._warn = warn
        self._areas = susp.Areas(source, self.volume.block)
        dot = _dot(source, self.volume).system if tree == "rock-ridge" else b""
        self._skip = susp.skipped(dot, self.volume.xa)

    @property
    def info(self) -> Mapping[str, object]:
        """Texts and dates (seconds since 1970) of the descriptor, and sizes."""
        volume = self.volume
        sizes = {"block": volume.block, "blocks": volume.space}
        return {
            **volume.texts,
            **volume.dates,
            **sizes,
            "bootable": self.found.catalog is not None,
        }

    @property
    def root(self) -> Entry:
        """The entry of the root directory."""
        return Entry("/", "", "dir", *self._extent(self.volume.root))

    def using(self, tree: str, warn: Warn | None = None) -> Tree:
        """The same volume through another tree."""
        return Tree(self._source, self.found, self.trees, tree, self._limits, warn or self._warn)

    def _extent(self, record: Record) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Size and extents of what one record tells of."""
        extents = ((record.block * self.volume.block, record.size),) if record.size else ()
        return record.size, extents

    def children(self, directory: Entry) -> Iterator[Entry]:
        """The entries of a directory as stored. Raises its fault, LimitError, ContentError."""
        if directory.fault is not None:
            raise directory.fault
        if directory.size > self._limits.directory_bytes:
            message = f"{directory.path}: a directory of {directory.size} bytes (directory_bytes)"
            raise LimitError(message, file=self._source.name, at=directory.extents[0][0])
        run: list[Record] = []
        for record in self._records(directory):
            if record.name in (SELF, PARENT):
                continue
            if record.stray or not record.name:
                what = "in unused room" if record.stray else "without a name"
                self._warn("corrupt", f"{directory.path}: a record {what}", record.at)
            if not record.name:
                continue
            run.append(record)
            if not record.flags & CONTINUED:
                yield from self._entries(directory, run)
                run = []
        if run:
            yield from self._entries(directory, run)

    def _records(self, directory: Entry) -> Iterator[Record]:
        """The records of a directory. The first is its own; CorruptError where there is none.

        A root that is none is another place than the descriptor means; elsewhere it is survived.
        """
        file, first = self._source.name, None
        for at, size in directory.extents:
            for record in records(self._source, at, size):
                if first is None and record.name != SELF:
                    if directory.path == "/":
                        raise _not_itself(file, at)
                    self._warn("corrupt", f"{directory.path} does not begin with itself", at)
                first = record
                yield record
        if first is None and directory.size:
            at = directory.extents[0][0]
            raise CorruptError(f"{directory.path} holds no records", file=file, at=at)

    def _entries(self, directory: Entry, run: list[Record]) -> Iterator[Entry]:
        """The entry of neighbouring records that tell of one file, or none where it is hidden."""
        first = run[0]
        rock = susp.RockRidge()
        fault = self._fault(directory, run)
        if self._skip is not None:
            fault = self._fill(rock, first) or fault
        if rock.moved:  # stands where its CL entry is
            return
        name = self._name(first, rock)
        path = f"{directory.path.rstrip('/')}/{name}"
        if len(path) > self._limits.path_bytes:
            raise LimitError(f"a path of {len(path)} characters (path_bytes)", at=first.at)
        if first.flags & ASSOCIATED:
            self._warn("unsupported", f"{path}: an associated file is not shown", first.at)
            return
        if not all(record.sound for record in run):
            self._warn("corrupt", f"{path}: block or size differ between byte orders", first.at)
        if fault is not None:
            self._warn(fault.kind, f"{path}: {fault.message}", first.at)
        entry = self._entry(path, name, run, rock, fault)
        yield entry if rock.child is None else self._moved(entry, rock.child)

    def _entry(
        self,
        path: str,
        name: str,
        run: list[Record],
        rock: susp.RockRidge,
        fault: DiskImageError | None,
    ) -> Entry:
        first = run[0]
        kind = self._kind(first, rock)
        extents = _joined(self._extent(record)[1] for record in run)
        target = rock.target if kind == "link" else None
        return Entry(
            path=path,
            name=name,
            kind=kind,
            size=sum(record.size for record in run) if kind in ("file", "dir") else 0,
            extents=extents,
            mode=None if rock.mode is None else rock.mode & 0o7777,
            mtime=seconds(first.date) if rock.mtime is None else rock.mtime,
            uid=None if rock.mode is None else rock.uid,
            gid=None if rock.mode is None else rock.gid,
            target=None if target is None else target.decode("utf-8", "surrogateescape"),
            key=rock.serial or (extents[0][0] if extents else 0),
            device=rock.device if kind in ("char", "block") else None,
            hidden=bool(first.flags & HIDDEN),
            coding="zisofs" if rock.zisofs else None,
            fault=fault,
        )

    def _kind(self, record: Record, rock: susp.RockRidge) -> EntryKind:
        """The directory flag and Rock Ridge's file type; where they differ the flag is believed."""
        directory = bool(record.flags & DIRECTORY)
        if rock.mode is None:
            return "dir" if directory else "file"
        kind = _KINDS.get(stat.S_IFMT(rock.mode), "file")
        if rock.child is None and directory != (kind == "dir"):
            self._warn("corrupt", "Rock Ridge and the record disagree on a directory", record.at)
            return "dir" if directory else "file"
        return kind

    def _moved(self, entry: Entry, block: int) -> Entry:
        """A directory that was moved up because it lay too deep: its own record tells its size."""
        at = block * self.volume.block
        try:
            dot = next(records(self._source, at, SECTOR), None)
        except DiskImageError as error:
            return replace(entry, kind="dir", extents=(), fault=error)
        if dot is None or dot.name != SELF:
            fault = CorruptError("a moved directory is not where CL says", at=at)
            return replace(entry, kind="dir", extents=(), fault=fault)
        size, extents = self._extent(dot)
        return replace(entry, kind="dir", size=size, extents=extents, key=at)

    def _fill(self, rock: susp.RockRidge, record: Record) -> DiskImageError | None:
        """Read Rock Ridge into `rock`; the error that ended it, if one did."""
        try:
            skip = susp.start(record.system, self._skip or 0)
            susp.fill(rock, record.system[skip:], self._areas, self._limits)
        except DiskImageError as error:
            error.file, error.at = self._source.name, error.at or record.at
            return error
        if rock.sparse:
            return UnsupportedError("a sparse file (Rock Ridge SF)", file=self._source.name)
        return None

    def _fault(self, directory: Entry, run: list[Record]) -> DiskImageError | None:
        """What makes the bytes of these records unreadable, though their names are not."""
        file, at, last = self._source.name, run[0].at, run[-1]
        if last.flags & CONTINUED or any(record.name != last.name for record in run[:-1]):
            message = f"extents in {directory.path} end without the last one"
            return CorruptError(message, file=file, at=last.at)
        if any(record.interleaved for record in run):
            return UnsupportedError("an interleaved file", file=file, at=at)
        if self.volume.volumes > 1 and run[0].volume != self.volume.volume:
            return MissingError(f"on disc {run[0].volume} of the set", file=file, at=at)
        return None

    def _name(self, record: Record, rock: susp.RockRidge) -> str:
        """The name people gave: Rock Ridge's, or the record's without version 1 and final dot."""
        if rock.name is not None:
            return rock.name.decode("utf-8", "surrogateescape")
        if self.tree == "joliet":
            name = record.name.decode("utf-16-be", "replace")
        else:
            name = record.name.decode("utf-8", "surrogateescape")
        if self.tree == "enhanced" or record.flags & DIRECTORY:
            return name
        name = name.removesuffix(";1")
        return name.removesuffix(".") if self.tree != "joliet" else name

    def content(self, file: Entry) -> Source:
        """The bytes of a file, as stored."""
        return Content(self._source, file.extents, file.path)


def _joined(found: Iterator[tuple[tuple[int, int], ...]]) -> tuple[tuple[int, int], ...]:
    """Extents with neighbours that touch made one."""
    joined: list[tuple[int, int]] = []
    for extents in found:
        for at, length in extents:
            if joined and sum(joined[-1]) == at:
                joined[-1] = joined[-1][0], joined[-1][1] + length
            else:
                joined.append((at, length))
    return tuple(joined)


def _volume(found: Descriptors, tree: str) -> Volume:
    """The descriptor that leads to `tree`."""
    return next(volume for volume in found.volumes if volume.tree == tree)


def _dot(source: Source, volume: Volume) -> Record:
    """The root directory's own record: the first in it."""
    root = volume.root
    at = root.block * volume.block
    first = next(records(source, at, min(root.size, SECTOR)), None)
    if first is None or first.name != SELF:
        raise _not_itself(source.name, at)
    return first


def _not_itself(file: str, at: int) -> CorruptError:
    return CorruptError(
        "the root directory does not begin with itself",
        file=file,
        at=at,
        remedy="the volume may count from another session or track: read the whole disc",
    )


def open_tree(source: Source, limits: Limits, warn: Warn, base: int = 0) -> Tree:
    """The default tree of the session that begins at sector `base`.

    Rock Ridge that cannot be read is a warning: the other trees can. Raises CorruptError,
    LimitError.
    """
    found = scan(source, limits, warn, base)
    primary = found.volumes[0]
    there = {volume.tree for volume in found.volumes}
    try:
        dot = _dot(source, primary)
        if dot.block != primary.root.block:
            warn("corrupt", "the root directory says that it is elsewhere", dot.at)
        areas = susp.Areas(source, primary.block)
        marked = susp.skipped(dot.system, primary.xa) is not None
        if marked and susp.is_rock_ridge(dot.system, areas, limits):
            there.add("rock-ridge")
    except DiskImageError as error:
        warn(error.kind, f"no Rock Ridge: {error.message}", error.at)
    _bounds(source, found, warn)
    trees = tuple(tree for tree in ORDER if tree in there)
    return Tree(source, found, trees, trees[0], limits, warn)


def _bounds(source: Source, found: Descriptors, warn: Warn) -> None:
    """Warn of what the descriptors place past the end of the source."""
    primary = found.volumes[0]
    size = primary.space * primary.block
    if size > source.size:
        message = f"the volume has {size} bytes, the image {source.size}: its end is missing"
        warn("truncated", message, primary.at + 80)
    if found.catalog is not None and (found.catalog + 1) * SECTOR > source.size:
        warn("truncated", "the boot catalogue lies past the end of the image", None)
