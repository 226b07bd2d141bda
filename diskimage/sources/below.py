"""Files below a directory, opened so that no link leads out of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from contextlib import closing, suppress

from diskimage.errors import DiskImageError, from_os
from diskimage.model import Source
from diskimage.sources.file import FileSource, open_file


def inside(path: str, folder: str) -> bool:
    """Whether `path` is below `folder`, every link of both followed."""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    return real != root and os.path.commonpath([real, root]) == root


def open_below(folder: str, below: str, name: str) -> FileSource:
    """`below` of `folder`, each component opened without following a link."""
    *folders, last = below.split(os.sep)
    if os.open not in os.supports_dir_fd:
        return open_file(os.path.join(folder, below), name=name)
    fd = _entered(folder, name)
    try:
        for part in folders:
            deeper = _entered(part, name, dir_fd=fd)
            os.close(fd)
            fd = deeper
        return open_file(last, name=name, dir_fd=fd)
    finally:
        os.close(fd)


def _entered(folder: str, name: str, dir_fd: int | None = None) -> int:
    """A descriptor to open files of `folder` by, which needs no right to list it."""
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(folder, flags | (0 if dir_fd is None else os.O_NOFOLLOW), dir_fd=dir_fd)
    except OSError as error:
        raise from_os(error, name) from error


def recognised(
    folder: str, suffix: str, known: Callable[[Source], bool], others: Container[tuple[int, int]]
) -> str | None:
    """The first regular file in `folder` with that suffix that is `known`; None without any.
    `others` are the identities of files that it is not."""
    names: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:  # one may open what one may not list
        names = sorted(one.name for one in entries if one.is_file(follow_symlinks=False))
    for name in names:
        if suffix and name.lower().endswith(suffix.lower()):
            with suppress(DiskImageError), closing(open_below(folder, name, name)) as source:
                if source.identity not in others and known(source):
                    return name
    return None
