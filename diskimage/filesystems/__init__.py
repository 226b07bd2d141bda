"""File systems: which one a source holds, and its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from diskimage.filesystems import iso9660
from diskimage.filesystems.entries import Entry, Reader, Warn
from diskimage.filesystems.filesystem import FileSystem
from diskimage.filesystems.paths import ImagePath
from diskimage.limits import LIMITS, Limits
from diskimage.model import Finding, Source


@dataclass(frozen=True, slots=True)
class _Known:
    """A file system: is it there, open it, check it."""

    present: Callable[[Source, int], bool]
    open: Callable[[Source, Limits, Warn, int], Reader]
    problems: Callable[[Source, Limits, int], Iterator[Finding]]


# the preferred first; a later file system is one line here
_KNOWN = (_Known(iso9660.present, iso9660.open_tree, iso9660.problems),)


def detect(
    source: Source, limits: Limits = LIMITS, warn: Warn | None = None, *, base: int = 0
) -> FileSystem | None:
    """The file system in `source`, or None where none of ours is there.

    `base` is the sector of 2048 bytes at which the session begins whose files are wanted; what its
    directories point to counts from sector 0 of `source`. Raises ContentError for a file system
    that is there and whose beginning cannot be read.
    """
    told = _once(warn, limits.problems)
    for known in _KNOWN:
        if known.present(source, base):
            return FileSystem(known.open(source, limits, told, base), limits, told)
    return None


def problems(source: Source, limits: Limits = LIMITS, *, base: int = 0) -> Iterator[Finding]:
    """What is wrong with the file systems in `source`, as it is found; nothing where none is."""
    for known in _KNOWN:
        if known.present(source, base):
            yield from known.problems(source, limits, base)


def _once(warn: Warn | None, most: int) -> Warn:
    """`warn`, but each warning once, and no more than `most`: directories are read many times."""
    said: set[tuple[str, str, int | None]] = set()

    def told(kind: str, message: str, at: int | None) -> None:
        if warn is not None and len(said) < most and (kind, message, at) not in said:
            said.add((kind, message, at))
            warn(kind, message, at)

    return told


__all__ = ["Entry", "FileSystem", "ImagePath", "detect", "problems"]
