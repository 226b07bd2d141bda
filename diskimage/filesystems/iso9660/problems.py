"""What is wrong with an ISO 9660 volume: descriptors, path tables, directories, places of files.

ECMA-119 clause 8 (descriptors), 9.4 (path table records), 6.9 (both tables, in one order).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from struct import Struct

from diskimage.errors import DiskImageError
from diskimage.filesystems.entries import Entry
from diskimage.filesystems.filesystem import FileSystem
from diskimage.filesystems.iso9660.descriptors import Volume
from diskimage.filesystems.iso9660.tree import Tree, open_tree
from diskimage.limits import LIMITS, Limits
from diskimage.model import Finding, Source
from diskimage.parse import read

_ROW = {"little": Struct("<BBIH"), "big": Struct(">BBIH")}  # name length, XAR blocks, block, parent


class _Notes:
    """Warnings of a reader, kept until they are taken."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []

    def __call__(self, kind: str, message: str, at: int | None) -> None:
        self.kept.append(Finding(kind, message, at))

    def take(self) -> Iterator[Finding]:
        kept, self.kept = self.kept, []
        yield from kept


def problems(source: Source, limits: Limits = LIMITS, base: int = 0) -> Iterator[Finding]:
    """Everything that is wrong with the session that begins at sector `base`, as it is found.

    Reads descriptors, all directories of all trees and the path tables, no file's content. What is
    so broken that nothing behind it can be read is the last finding of its tree.
    """
    notes = _Notes()
    try:
        tree = open_tree(source, limits, notes, base)
    except DiskImageError as error:
        yield from notes.take()
        yield _finding(error)
        return
    yield from notes.take()
    for name in tree.trees:
        seen = tree.using(name, notes)
        directories = {seen.volume.root.block}
        yield from _of_tree(seen, source, FileSystem(seen, limits, notes), notes, directories)
        if name != "rock-ridge":  # it hides directories that were moved, the path tables do not
            yield from _of_tables(source, seen.volume, limits, directories)


def _finding(error: DiskImageError) -> Finding:
    return Finding(error.kind, error.message, error.at)


def _of_tree(
    tree: Tree, source: Source, files: FileSystem, notes: _Notes, directories: set[int]
) -> Iterator[Finding]:
    """Walk one tree; `directories` gets the blocks of all, or is emptied where the walk breaks."""
    if not tree.volume.root.sound:
        yield Finding(
            "corrupt", f"{tree.tree}: the root differs between byte orders", tree.volume.at
        )
    try:
        for _, entry in files.walk():
            yield from notes.take()
            yield from _outside(tree, source, entry)
            if entry.kind == "dir" and entry.extents:
                directories.add(entry.extents[0][0] // tree.volume.block)
    except DiskImageError as error:
        yield from notes.take()
        yield _finding(error)
        directories.clear()
    yield from notes.take()


def _outside(tree: Tree, source: Source, entry: Entry) -> Iterator[Finding]:
    """An entry whose bytes lie past the end of the source."""
    for at, length in entry.extents:
        if at + length > source.size:
            message = f"{tree.tree}: {entry.path} needs bytes up to {at + length}"
            yield Finding("truncated", f"{message}, the image has {source.size}", at)


def _of_tables(
    source: Source, volume: Volume, limits: Limits, directories: set[int]
) -> Iterator[Finding]:
    """The two path tables, against each other and against the directories that were found."""
    if volume.path_table_size > limits.directory_bytes:
        size = f"a path table of {volume.path_table_size} bytes"
        yield Finding("limit", f"{volume.tree}: {size} (directory_bytes)", volume.at + 132)
        return
    try:
        little, big = (_table(source, volume, order) for order in ("little", "big"))
        differ = [i for i, (a, b) in enumerate(zip_longest(little, big)) if a != b]
    except DiskImageError as error:
        yield _finding(error)
        return
    at = volume.path_tables[0] * volume.block
    if differ:
        message = f"the path tables differ in {len(differ)} of {len(little)} rows"
        yield Finding("corrupt", f"{volume.tree}: {message}", at)
    if any(parent > i + 1 or not parent for i, (_, parent, _) in enumerate(little)):
        yield Finding("corrupt", f"{volume.tree}: a path table row stands before its parent", at)
    listed = {block for block, _, _ in little}
    if directories and listed != directories:
        message = (
            f"{len(listed - directories)} directories stand in the path table alone,"
            f" {len(directories - listed)} in the tree alone"
        )
        yield Finding("corrupt", f"{volume.tree}: {message}", at)


def _table(source: Source, volume: Volume, order: str) -> list[tuple[int, int, bytes]]:
    """(block, number of the parent, name) of each row of a path table."""
    layout = _ROW[order]
    start = volume.path_tables[order == "big"] * volume.block
    data = read(source, start, volume.path_table_size, f"the {order}-endian path table")
    rows, at = [], 0
    while at + layout.size <= len(data) and data[at]:
        length, attributes, block, parent = layout.unpack_from(data, at)
        at += layout.size
        rows.append((block + attributes, parent, bytes(data[at : at + length])))
        at += length + length % 2
    return rows
