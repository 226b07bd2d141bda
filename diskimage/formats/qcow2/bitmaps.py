"""Dirty bitmaps: which guest bytes were written since they began.

Facts: QEMU docs/interop/qcow2, bitmaps extension. A table of an entry a cluster of bits: its place,
or without one all zeros, or all ones; the lowest bit of a byte is the first.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import CorruptError, LimitError, UnsupportedError, UsageError
from diskimage.formats.qcow2 import layout
from diskimage.formats.qcow2.layout import OFFSET, Bitmap, Header
from diskimage.layers.bits import stretches
from diskimage.layers.table import words
from diskimage.limits import Limits
from diskimage.model import Gate, Source
from diskimage.parse import read
from diskimage.ranges import Ranges

ONES = 1  # of an entry without a place
RESERVED = 0xFF000000000001FE
EDGE = 64  # bytes of memory that one end of a range takes


def bitmap(source: Source, gate: Gate, name: str) -> Ranges:
    """The guest bytes that the bitmap `name` says are dirty, by its granularity.

    Raises UsageError where there is none of that name, UnsupportedError for one that was in use or
    that other software left behind, CorruptError, TruncatedError, LimitError.
    """
    header = layout.load(source, gate.limits)
    rows = {row.name: row for row in layout.bitmaps(header, source, gate.limits)}
    row = rows.get(name)
    if row is None:
        listed = f"it has: {', '.join(rows)}" if rows else "it has none"
        raise UsageError(f"no bitmap {name!r}", file=source.name, remedy=listed)
    stale = "" if header.autoclear & layout.BITMAPS else "was not kept by all who wrote the image"
    if stale or row.in_use:
        text = f"the bitmap {name!r} {stale or 'was in use when the image was last closed'}"
        remedy = "take a full copy, and begin a new bitmap"
        raise UnsupportedError(f"{text}: what it says is not all", file=source.name, remedy=remedy)
    return Ranges(_bounded(_dirty(header, row, source, gate.limits), source, gate.limits))


def _bounded(
    pairs: Iterator[tuple[int, int]], source: Source, limits: Limits
) -> Iterator[tuple[int, int]]:
    for count, pair in enumerate(pairs, 1):
        if 2 * count * EDGE > limits.metadata:
            text = f"a bitmap of more than {count} ranges, over metadata {limits.metadata}"
            raise LimitError(text, file=source.name)
        yield pair


def _dirty(
    header: Header, row: Bitmap, source: Source, limits: Limits
) -> Iterator[tuple[int, int]]:
    """(start, length) of what is dirty, cluster of bits by cluster of bits."""
    bits = -(-header.size // row.granularity)
    needed = -(-bits // (8 * header.cluster))
    if row.entries < needed:
        text = f"bitmap {row.name!r}: {row.entries} entries for {bits} bits"
        raise CorruptError(text, file=source.name, at=row.at)
    if 8 * needed > limits.metadata:
        raise LimitError(f"a bitmap table of {8 * needed} bytes, over metadata", file=source.name)
    table = words(read(source, row.table_at, 8 * needed, "bitmap table"), "Q", big_endian=True)
    for number, entry in enumerate(table):
        first = number * 8 * header.cluster
        count = min(bits - first, 8 * header.cluster)
        at = entry & OFFSET
        if entry & RESERVED or at % header.cluster or (at and entry & ONES):
            text = f"bitmap {row.name!r}: entry {entry:#x}"
            raise CorruptError(text, file=source.name, at=row.table_at + 8 * number)
        if at == 0 and entry & ONES:
            yield _bytes(header, row, first, first + count)
        if at == 0:
            continue
        raw = read(source, at, -(-count // 8), "bitmap")
        for begin, stop, dirty in stretches(raw, 0, count, high_first=False):
            if dirty:
                yield _bytes(header, row, first + begin, first + stop)


def _bytes(header: Header, row: Bitmap, first: int, last: int) -> tuple[int, int]:
    """(start, length) of bits [first, last)."""
    start, stop = first * row.granularity, min(header.size, last * row.granularity)
    return start, stop - start
