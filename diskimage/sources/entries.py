"""Where one can begin to decode a compressed file, kept in a file of its own where that is asked.

    8 magic, 4 length of the header, the header (JSON), the columns one behind the other, 32 SHA-256

The header tells the packed file as it was: its length and time, and a digest of its head. Of the
columns `starts`, `places` and `notes` are 64-bit, the lengths of windows 32-bit integers, all
little-endian; the windows follow, each by zlib. What is in it is believed no further than a file
is: a stretch that does not decode to its length and sum is an error.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zlib
from array import array
from collections.abc import Callable
from operator import lt
from typing import NamedTuple

from diskimage.errors import CorruptError, ExistsError, MissingError, UsageError, from_os
from diskimage.limits import KIB, Limits
from diskimage.model import Source
from diskimage.parse import read
from diskimage.sources.file import FileSource, open_file
from diskimage.sources.joined import Joined

_MAGIC = b"DIEntry\1"
_HEAD = 64 * KIB
_SUM = 32
_NONE = 0xFFFFFFFF  # length of a window that is none: a stretch that needs nothing before it


class Entries(NamedTuple):
    """Entries in columns: `starts` are plain bytes, `places` bits of the packed file (-1 of a
    stretch that is lost), `notes` a number of the format's own. `windows` are what stretches need
    of what comes before, by zlib, None where nothing; empty where none of them does."""

    starts: array[int]
    places: array[int]
    size: int
    notes: array[int]
    windows: list[bytes | None]


def window(entries: Entries, number: int) -> bytes | None:
    """What comes before a stretch, None where it needs nothing. Raises CorruptError."""
    packed = entries.windows[number] if entries.windows else None
    if packed is None:
        return None
    try:
        plain = zlib.decompressobj().decompress(packed, 1 << 15)
    except zlib.error as error:
        raise CorruptError(f"a window of the index does not decode: {error}") from None
    return plain


def kept(plain: bytes) -> bytes:
    """A window as it is kept."""
    return zlib.compress(plain, 1)


def entries_of(
    source: Source, way: str, find: Callable[[], Entries], path: str | None, limits: Limits
) -> tuple[Entries, str]:
    """The entries of a file packed in some `way`, and a word of how: those kept in the file `path`
    ("read"), or what `find` gives, which is then kept there: "found", or "found again" where what
    was kept is of a file other than `source` is now.

    Raises ExistsError for a `path` that is no index, CorruptError for a damaged one, and what
    `find` and writing do.
    """
    if path is None:
        return find(), "found"
    entries, how = _load(path, source, way, limits)
    if entries is None:
        entries = find()
        _save(path, source, way, entries)
    return entries, how


def _load(path: str, source: Source, way: str, limits: Limits) -> tuple[Entries | None, str]:
    stamp = _stamp(source, way)
    try:
        file = open_file(path)
    except MissingError:
        return None, "found"
    try:
        size = file.size
        if size < len(_MAGIC) or bytes(read(file, 0, len(_MAGIC), "an index")) != _MAGIC:
            raise ExistsError("is no index of ours", file=path, remedy="name another file")
        if size > limits.metadata:
            raise CorruptError(f"an index of {size} bytes", file=path, remedy="remove it")
        entries = _parsed(bytes(read(file, 0, size, "an index")), stamp, path)
        return entries, "found again" if entries is None else "read"
    finally:
        file.close()


def _parsed(data: bytes, stamp: dict[str, object], path: str) -> Entries | None:
    body, told = data[:-_SUM], data[-_SUM:]
    wrong = CorruptError("a damaged index", file=path, remedy="remove it: it is made again")
    if hashlib.sha256(body).digest() != told:
        raise wrong
    try:
        length = int.from_bytes(body[8:12], "little")
        header = json.loads(body[12 : 12 + length])
        count, size, windows = int(header["count"]), int(header["size"]), bool(header["windows"])
        if header["of"] != stamp:
            return None
        return _columns(memoryview(body)[12 + length :], count, size, windows=windows)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise wrong from error


def _columns(body: memoryview, count: int, size: int, *, windows: bool) -> Entries:
    """ValueError where they contradict themselves."""
    starts, places, notes = (array("q") for _ in range(3))
    for column in (starts, places, notes):
        column.frombytes(body[: 8 * count])
        body = body[8 * count :]
    lengths = array("I")
    lengths.frombytes(body[: 4 * count * windows])
    body = body[4 * count * windows :]
    if sys.byteorder == "big":
        for column in (starts, places, notes, lengths):
            column.byteswap()
    found: list[bytes | None] = []
    for length in lengths:
        found.append(None if length == _NONE else bytes(body[:length]))
        body = body[0 if length == _NONE else length :]
    climbs = all(map(lt, starts, [*starts[1:], size])) and 0 <= size < 1 << 63
    whole = not len(body) and len(notes) == count and starts[:1].tolist() == [0] * bool(size)
    if not whole or not climbs or min(places, default=0) < 0:
        raise ValueError("columns that do not fit")
    return Entries(starts, places, size, notes, found)


def _save(path: str, source: Source, way: str, entries: Entries) -> None:
    header = json.dumps({
        "of": _stamp(source, way), "count": len(entries.starts), "size": entries.size,
        "windows": bool(entries.windows),
    }).encode()  # fmt: skip
    lengths = array("I", [_NONE if w is None else len(w) for w in entries.windows])
    told = (entries.starts, entries.places, entries.notes, lengths)
    columns = [array(column.typecode, column) for column in told]
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    parts = [_MAGIC, len(header).to_bytes(4, "little"), header, *(c.tobytes() for c in columns)]
    body = b"".join([*parts, *(w for w in entries.windows if w is not None)])
    _published(path, body + hashlib.sha256(body).digest())


def _published(path: str, data: bytes) -> None:
    """Write a file, whole or not at all. Raises IoError, NoSpaceError."""
    folder, name = os.path.split(path)
    part = os.path.join(folder, f".{name}.{os.urandom(3).hex()}.part")
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise
    except OSError as error:
        raise from_os(error, path) from error


def _stamp(source: Source, way: str) -> dict[str, object]:
    """What a packed file has to be for its entries to hold."""
    files = source.sources if isinstance(source, Joined) else (source,)
    if not all(isinstance(file, FileSource) for file in files):
        raise UsageError("an index is kept for files alone", file=source.name)
    head = read(source, 0, min(_HEAD, source.size), "the head")
    return {
        "way": way,
        "sizes": [file.size for file in files],
        "times": [file.modified for file in files if isinstance(file, FileSource)],
        "head": hashlib.sha256(head).hexdigest(),
    }
