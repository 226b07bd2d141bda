"""Whatever a caller may name as a source of bytes."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO, TypeAlias

from diskimage.errors import MissingError, UnsupportedError, UsageError
from diskimage.model import Source
from diskimage.sources.device import is_device, open_device
from diskimage.sources.file import checked_name, open_file
from diskimage.sources.fileobj import FileObjectSource
from diskimage.sources.memory import MemorySource

INDEXES = ("Info.plist", "DiskDescriptor.xml")  # of a sparse bundle, of a Parallels bundle
PIPE = "-"
"""The path of the standard input."""
What: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Source"


def as_source(what: What, *, writable: bool = False) -> Source:
    """`what` as bytes with a size, a path `writable` in place too.

    Raises MissingError, UnsupportedError for what is no file, UsageError for no binary file object.
    """
    if isinstance(what, bytes | bytearray | memoryview):
        return MemorySource(what)
    if isinstance(what, str | os.PathLike):
        return _of_path(checked_name(os.fspath(what)), writable)
    if isinstance(what, Source):
        return what
    if hasattr(what, "read") and hasattr(what, "seek"):
        return FileObjectSource(what)
    text = f"what is to be opened is of the type {type(what).__name__}"
    raise UsageError(text, remedy="a path, bytes, a binary file or a Source is opened")


def _of_path(path: str, writable: bool) -> Source:
    if path == PIPE:
        if writable:
            raise UsageError("a pipe is not written in place", remedy="name a file")
        from diskimage.sources.spool import SpooledSource  # few read a pipe

        return SpooledSource(sys.stdin.fileno())
    if "://" in path and not os.path.exists(path):
        return _of_url(path)
    if os.path.isdir(path):
        path = _index(path)
    if is_device(path):
        return open_device(path, writable=writable)
    return open_file(path, writable=writable)


def _index(path: str) -> str:
    """The file of a directory that says what image the directory is; itself where there is none."""
    found = (os.path.join(path, name) for name in INDEXES)
    return next((file for file in found if os.path.isfile(file)), path)


def _of_url(url: str) -> Source:
    try:
        import fsspec  # the extra `remote`
    except ImportError:
        raise UnsupportedError(
            "URLs need the extra `remote`", file=url, remedy="pip install 'py-diskimage[remote]'"
        ) from None
    try:
        return FileObjectSource(fsspec.open(url, "rb").open(), url)
    except (OSError, ValueError) as error:
        raise MissingError(f"cannot be opened: {error}", file=url) from error
