"""The entries of one directory, or of one name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Unpack

from diskimage.filesystems import Entry, FileSystem
from diskimage.image import Image
from diskimage.jobs.opening import Opening, opened, told
from diskimage.model import Finding
from diskimage.sources.anything import What


@dataclass(frozen=True, slots=True)
class Listing:
    """Entries as stored. `tree` is the tree of the medium they come from."""

    path: str
    tree: str
    trees: tuple[str, ...]
    entries: tuple[Entry, ...]
    warnings: tuple[Finding, ...]

    def to_json(self) -> dict[str, object]:
        """The document of `ls --json`. Names are as in the image: print it with ASCII escapes."""
        return {
            "path": self.path,
            "tree": self.tree,
            "trees": list(self.trees),
            "entries": [entry.to_json() for entry in self.entries],
            "warnings": told(self.warnings),
        }


@contextmanager
def files_of(
    image: Image | What, tree: str | None, **how: Unpack[Opening]
) -> Iterator[tuple[Image, FileSystem]]:
    """An open image with its file system, seen through `tree` where that is named."""
    with opened(image, **how) as held:
        files = held.filesystem
        yield held, files if tree is None else files.using(tree)


def ls(
    image: Image | What, path: str = "/", *, tree: str | None = None, **how: Unpack[Opening]
) -> Listing:
    """The entries of the directory `path`, or the one of a file or link there.

    `tree` names one of the medium's trees: rock-ridge, joliet, enhanced, plain. Raises
    MissingError, UnsupportedError where no file system is recognised, ContentError.
    """
    with files_of(image, tree, **how) as (source, files):
        found = files.stat(path)
        entries = tuple(files.children(found)) if found.kind == "dir" else (found,)
        return Listing(found.path, files.tree, files.trees, entries, source.warnings)
