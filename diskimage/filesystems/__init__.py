"""File systems: which one a source holds, and its files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from diskimage.filesystems import iso9660
from diskimage.filesystems.entries import Entry, Reader, Warn
from diskimage.filesystems.filesystem import FileSystem
from diskimage.filesystems.paths import ImagePath
from diskimage.limits import LIMITS, Limits
from diskimage.model import Source

Opener: TypeAlias = Callable[[Source, Limits, Warn, int], Reader]

# (is it there, open it), the preferred first; a later file system is one line here
_KNOWN: tuple[tuple[Callable[[Source, int], bool], Opener], ...] = (
    (iso9660.present, iso9660.open_tree),
)


def detect(
    source: Source, limits: Limits = LIMITS, warn: Warn | None = None, *, base: int = 0
) -> FileSystem | None:
    """The file system in `source`, or None where none of ours is there.

    `base` is the sector of 2048 bytes at which the session begins whose files are wanted; what its
    directories point to counts from sector 0 of `source`. Raises ContentError for a file system
    that is there and whose beginning cannot be read.
    """
    told = _once(warn, limits.problems)
    for present, opened in _KNOWN:
        if present(source, base):
            return FileSystem(opened(source, limits, told, base), limits, told)
    return None


def _once(warn: Warn | None, most: int) -> Warn:
    """`warn`, but each warning once, and no more than `most`: directories are read many times."""
    said: set[tuple[str, str, int | None]] = set()

    def told(kind: str, message: str, at: int | None) -> None:
        if warn is not None and len(said) < most and (kind, message, at) not in said:
            said.add((kind, message, at))
            warn(kind, message, at)

    return told


__all__ = ["Entry", "FileSystem", "ImagePath", "detect"]
