"""Everything below a directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

from diskimage.filesystems import Entry
from diskimage.image import Image
from diskimage.jobs.ls import files_of
from diskimage.jobs.opening import Opening, told
from diskimage.model import Finding
from diskimage.sources.anything import What


@dataclass(frozen=True, slots=True)
class Tree:
    """(depth, entry), each directory before what it holds; a directory met twice is not entered."""

    path: str
    tree: str
    trees: tuple[str, ...]
    entries: tuple[tuple[int, Entry], ...]
    warnings: tuple[Finding, ...]

    @property
    def files(self) -> int:
        """How many regular files and links there are."""
        return sum(entry.kind in ("file", "link") for _, entry in self.entries)

    @property
    def bytes(self) -> int:
        """What the files hold together."""
        return sum(entry.size for _, entry in self.entries if entry.kind == "file")

    def to_json(self) -> dict[str, object]:
        """The document of `tree --json`. Names are as in the image: print it with ASCII escapes."""
        return {
            "path": self.path,
            "tree": self.tree,
            "trees": list(self.trees),
            "files": self.files,
            "bytes": self.bytes,
            "entries": [{"depth": depth, **entry.to_json()} for depth, entry in self.entries],
            "warnings": told(self.warnings),
        }


def tree(
    image: Image | What, path: str = "/", *, tree: str | None = None, **how: Unpack[Opening]
) -> Tree:
    """Everything below the directory `path`.

    `tree` names one of the medium's trees. Raises MissingError, LimitError past `directory_entries`
    or `directory_depth`, ContentError.
    """
    with files_of(image, tree, **how) as (source, files):
        top = files.stat(path)
        entries = tuple(files.walk(top))
        return Tree(top.path, files.tree, files.trees, entries, source.warnings)
