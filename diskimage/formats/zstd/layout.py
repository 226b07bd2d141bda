"""The frames of a zstd file, told by headers alone, and the table of the seekable format.

Facts: RFC 8878, section 3; the Zstandard Seekable Format 0.1.0. Integers are little-endian.
"""

from __future__ import annotations

from typing import NamedTuple

from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import positions, read

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPED = range(0x184D2A50, 0x184D2A60)
TABLE = 0x184D2A5E
SEEKABLE = b"\xb1\xea\x92\x8f"
FOOTER = 9
_OLD = {0x1EB52FFD: "0.1", **{0xFD2FB520 + n: f"0.{n}" for n in range(2, 8)}}
_LONGEST = 18  # of a frame's header
_BLOCK = 128 * 1024
SECTOR = 512  # what a medium loses at least
_RLE, _RESERVED = 1, 3


class Frame(NamedTuple):
    """A frame: the byte after it, and its plain bytes; -1 where it does not tell them."""

    end: int
    plain: int


def frame(source: Source, at: int, limits: Limits) -> Frame:
    """The frame at `at`, its blocks counted by their headers.

    Raises CorruptError, TruncatedError, UnsupportedError, and LimitError for a window that is over
    the limit `window_log`.
    """
    head = bytes(read(source, at, min(_LONGEST, source.size - at), "a frame"))
    magic = int.from_bytes(head[:4], "little")
    if len(head) < 5:
        raise _cut(source)
    if magic in SKIPPED:
        if len(head) < 8:
            raise _cut(source)
        return _whole(source, Frame(at + 8 + int.from_bytes(head[4:8], "little"), 0))
    if magic in _OLD:
        text = f"a frame of zstd {_OLD[magic]}, which nobody writes any more"
        raise UnsupportedError(text, file=source.name, at=at)
    if head[:4] != MAGIC:
        rest = source.size - at
        raise CorruptError(f"{rest} bytes that are no zstd", file=source.name, at=at)
    flags = head[4]
    if flags & 8:
        raise UnsupportedError("a frame with a reserved flag", file=source.name, at=at + 4)
    length, window, plain = _fields(head, flags)
    if length > len(head):
        raise _cut(source)
    if flags & 3:
        raise UnsupportedError("a frame that needs a dictionary", file=source.name, at=at + 4)
    if window > 1 << limits.window_log:
        text = f"a window of {window} bytes, over 2^{limits.window_log} (limit window_log)"
        raise LimitError(text, file=source.name, at=at + 5)
    end = _blocks(source, at + length) + (4 if flags & 4 else 0)
    return _whole(source, Frame(end, plain))


def _fields(head: bytes, flags: int) -> tuple[int, int, int]:
    """The length of a header, the window, and the plain bytes or -1."""
    alone = flags >> 5 & 1
    at = 5 if alone else 6
    at += (0, 1, 2, 4)[flags & 3]
    width = (alone, 2, 4, 8)[flags >> 6]
    plain = int.from_bytes(head[at : at + width], "little") + (256 if width == 2 else 0)
    if alone or len(head) < 6:
        window = plain
    else:
        window = 1 << (10 + (head[5] >> 3))
        window += (window >> 3) * (head[5] & 7)
    return at + width, window, plain if width else -1


def _blocks(source: Source, at: int) -> int:
    """The byte after the last block of a frame whose blocks begin at `at`."""
    last = 0
    while not last:
        if at + 3 > source.size:
            raise _cut(source)
        header = int.from_bytes(read(source, at, 3, "a block"), "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == _RESERVED or (kind != _RLE and size > _BLOCK):
            text = f"a block of kind {kind} and {size} bytes"
            raise CorruptError(text, file=source.name, at=at)
        at += 3 + (1 if kind == _RLE else size)
    return at


def _whole(source: Source, found: Frame) -> Frame:
    if found.end > source.size:
        raise _cut(source)
    return found


def _cut(source: Source) -> TruncatedError:
    return TruncatedError("the file ends inside of a frame", file=source.name, at=source.size)


def told_plain(source: Source, at: int) -> int:
    """The plain bytes that the header of the frame at `at` tells; -1 where it tells none."""
    head = bytes(read(source, at, min(_LONGEST, source.size - at), "a frame"))
    if len(head) < 5 or head[:4] != MAGIC or head[4] & 8:
        return -1
    length, _, plain = _fields(head, head[4])
    return plain if length <= len(head) else -1


def following(source: Source, at: int, limits: Limits) -> int:
    """Where a sound frame begins behind the damaged one at `at`, or the end of the file.

    No run of zeros is between, which might hide frames; behind it is another one or nothing.
    """
    for begin in positions(source, at + 1, MAGIC):
        try:
            end = frame(source, begin, limits).end
        except DiskImageError:
            continue
        magic = bytes(read(source, end, min(4, source.size - end), "a frame"))
        if not magic or magic == MAGIC or int.from_bytes(magic, "little") in SKIPPED:
            hole = next(positions(source, at, bytes(SECTOR)), source.size)
            return source.size if hole < begin else begin
    return source.size


def table(source: Source, limits: Limits) -> list[tuple[int, int]] | None:
    """(stored, plain) of every frame by the table at the end; None without one that fits."""
    if source.size < FOOTER + 8:
        return None
    footer = bytes(read(source, source.size - FOOTER, FOOTER, "a seek table"))
    if footer[5:] != SEEKABLE or footer[4] & 0x7C:
        return None
    count, width = int.from_bytes(footer[:4], "little"), 12 if footer[4] & 0x80 else 8
    size = count * width + FOOTER
    if size > limits.metadata:
        raise LimitError(f"a seek table of {size} bytes, over metadata", file=source.name)
    at = source.size - size - 8
    head = TABLE.to_bytes(4, "little") + size.to_bytes(4, "little")
    if at < 0 or bytes(read(source, at, 8, "a seek table")) != head:
        return None
    rows = bytes(read(source, at + 8, size - FOOTER, "a seek table"))
    found = [
        (int.from_bytes(rows[n : n + 4], "little"), int.from_bytes(rows[n + 4 : n + 8], "little"))
        for n in range(0, len(rows), width)
    ]
    return found if sum(stored for stored, _ in found) == at else None
