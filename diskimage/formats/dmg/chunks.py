"""The chunks of all tables as one device: the disk with its gaps."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from diskimage import codecs
from diskimage.errors import CorruptError, LimitError
from diskimage.formats.dmg.layout import (
    ADC,
    BZIP2,
    GAP,
    IGNORE,
    LZFSE,
    LZMA,
    RAW,
    SECTOR,
    ZERO,
    ZLIB,
    Entries,
    Table,
)
from diskimage.kernels.columns import coalesce
from diskimage.layers.gather import gathered, hole
from diskimage.limits import RUNS_ROWS, Limits
from diskimage.model import Codec, Kind, Runs, Source
from diskimage.runs import clip
from diskimage.words import size_text

BARE = frozenset({ZERO, IGNORE, GAP})
LONGER = 1 << 16  # bytes that a coding may add to a chunk


def codec_table() -> dict[int, Codec]:
    """The codecs by the kinds of chunks."""
    return {
        ADC: codecs.adc(), ZLIB: codecs.zlib(), BZIP2: codecs.bzip2(), LZFSE: codecs.lzfse(),
        LZMA: codecs.xz(),
    }  # fmt: skip


class DmgDevice:
    """`size` guest bytes in chunks at places of their own; what no chunk covers is a hole.

    `entries` are all chunks in guest order without a gap, judged by `laid`.
    """

    def __init__(
        self, size: int, data: Source, entries: Entries, info: Mapping[str, object]
    ) -> None:
        self.size, self.info = size, info
        self.block = max((n for n, k in zip(entries.length, entries.kind, strict=True)
                          if k >= ADC), default=SECTOR)  # fmt: skip
        self._data, self._entries, self._codecs = data, entries, codec_table()

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop)."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < stop:
            yield from gathered(clip(piece, start, stop) for piece in self._pieces(start, stop))

    def _pieces(self, start: int, stop: int) -> Iterator[Runs]:
        """Neighbours of one kind, coded ones of one length, as one piece."""
        rows, first = self._entries, bisect_right(self._entries.start, start) - 1
        while first < len(rows.start) and rows.start[first] < stop:
            last, kind, length = first + 1, rows.kind[first], rows.length[first]
            end = min(len(rows.start), first + RUNS_ROWS)
            while last < end and rows.start[last] < stop and (
                rows.kind[last] in BARE if kind in BARE
                else rows.kind[last] == kind and (kind == RAW or rows.length[last] == length)
            ):  # fmt: skip
                last += 1
            yield self._piece(first, last, kind)
            first = last

    def _piece(self, first: int, last: int, kind: int) -> Runs:
        rows = self._entries
        start, length = rows.start[first:last], rows.length[first:last]
        if kind in BARE:
            return hole(start[0], start[-1] + length[-1])
        none, at = array("q"), rows.at[first:last]
        if kind == RAW:
            kinds = array("B", [Kind.DATA]) * len(at)
            return coalesce(Runs(start, length, at, kinds, none, none, self._data))
        kinds, skip = array("B", [Kind.CODED]) * len(at), array("q", bytes(8 * len(at)))
        return Runs(start, length, at, kinds, rows.stored[first:last], skip, self._data,
                    self._codecs[kind], length[0])  # fmt: skip


def together(tables: Sequence[Table], data: Source, limits: Limits) -> Entries:
    """The chunks of all tables, judged. Raises CorruptError, LimitError."""
    every = Entries(array("q"), array("q"), array("q"), array("q"), bytearray())
    for table in tables:
        _judge(table, data, limits)
        for whole, part in zip(every, table.entries, strict=True):
            whole.extend(part)
    return every


def laid(every: Entries, size: int, data: Source) -> Entries:
    """Chunks in guest order up to `size`, gaps between them as rows.

    Raises CorruptError where two overlap.
    """
    order = sorted(range(len(every.start)), key=every.start.__getitem__)
    out = Entries(array("q"), array("q"), array("q"), array("q"), bytearray())
    end = 0
    for row in order:
        start, length = every.start[row], every.length[row]
        if start < end:
            text = f"guest bytes {start} to {min(end, start + length)} are in two chunks"
            raise CorruptError(text, file=data.name)
        if start > end:
            _gap(out, end, start)
        for column, value in zip(out, (start, length, every.at[row], every.stored[row],
                                       every.kind[row]), strict=True):  # fmt: skip
            column.append(value)
        end = start + length
    if end < size:
        _gap(out, end, size)
    return out


def _gap(out: Entries, start: int, stop: int) -> None:
    for column, value in zip(out, (start, stop - start, 0, 0, GAP), strict=True):
        column.append(value)


def _judge(table: Table, data: Source, limits: Limits) -> None:
    """Each chunk has a length and stored bytes that it can have, and lies in the file."""
    rows = table.entries
    for number, (length, at, stored, kind) in enumerate(
        zip(rows.length, rows.at, rows.stored, rows.kind, strict=True)
    ):
        what = f"chunk {number} of {table.name!r}"
        if kind in BARE:
            continue
        if kind == RAW and stored != length:
            text = f"{what} has {stored} bytes stored of its {length}"
            raise CorruptError(text, file=data.name, at=at)
        if kind != RAW and length > limits.chunk:
            text = f"{what} decodes to {size_text(length)}, over chunk {limits.chunk}"
            raise LimitError(text, file=data.name, at=at)
        if kind != RAW and not 0 < stored <= length + length // 8 + LONGER:
            text = f"{what} has {stored} bytes stored for its {length}"
            raise CorruptError(text, file=data.name, at=at)
