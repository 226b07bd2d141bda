"""A store of chunks, each at a place of its own and with a length of its own: ISZ, CSO, DAX.

A format says where the chunks of a page of the table are, in columns; everything else is here:
pages kept, runs built, the short last chunk, and refusing what lies past the end of the file.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import add
from threading import Lock
from typing import NamedTuple

from diskimage.errors import CorruptError, TruncatedError
from diskimage.kernels.columns import coalesce
from diskimage.layers.gather import gathered, hole
from diskimage.model import Codec, Kind, Runs, Source
from diskimage.runs import clip

PAGE = 8192
"""Chunks of a page: their columns take 136 KiB."""
KEPT = 64  # pages held: 9 MiB, a gibibyte of guest in the smallest chunks there are (2048 bytes)
PLAIN, ZERO = 254, 255
"""Codes of chunks that are stored as they are, and of those that are not stored."""


class Columns(NamedTuple):
    """Neighbouring chunks: `at` and `stored` (array('q')), and `code`, an index of the codecs."""

    at: array[int]
    stored: array[int]
    code: bytes

    def part(self, first: int, stop: int) -> Columns:
        """Chunks [first, stop) of these."""
        return Columns(self.at[first:stop], self.stored[first:stop], self.code[first:stop])


class ChunkDevice:
    """`size` guest bytes in chunks of `chunk`, the last one as long as the rest.

    `page(n)` gives the columns of chunks from n * PAGE on, as many as there are, in the source
    `data`. A chunk of more than `most` stored bytes is CorruptError; one that lies past the end of
    `data` is TruncatedError, never zeros. Only what is asked for is looked at.
    """

    def __init__(
        self,
        *,
        size: int,
        chunk: int,
        data: Source,
        page: Callable[[int], Columns],
        codecs: Sequence[Codec],
        most: int,
        info: Mapping[str, object],
    ) -> None:
        self.size, self.block, self.info = size, chunk, info
        self._data, self._page, self._codecs, self._most = data, page, codecs, most
        self._pages: OrderedDict[int, Columns] = OrderedDict()
        self._lock = Lock()

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop). Raises CorruptError, TruncatedError for what is in it."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < stop:
            pieces = self._pieces(start // self.block, -(-stop // self.block))
            yield from gathered(clip(piece, start, stop) for piece in pieces)

    def page(self, number: int) -> Columns:
        """The columns of a page, kept for another look. Raises what reading them does."""
        with self._lock:
            kept = self._pages.get(number)
            if kept is not None:
                self._pages.move_to_end(number)
                return kept
        made = self._page(number)
        with self._lock:
            self._pages[number] = made
            while len(self._pages) > KEPT:
                self._pages.popitem(last=False)
        return made

    def _pieces(self, first: int, last: int) -> Iterator[Runs]:
        """Chunks [first, last): neighbours of one code as one piece."""
        while first < last:
            number, skip = divmod(first, PAGE)
            page, end = self.page(number), min(skip + last - first, PAGE)
            for code, group in groupby(page.code[skip:end]):
                stop = skip + sum(1 for _ in group)
                yield from self._alike(first, page.part(skip, stop), code)
                first, skip = first + stop - skip, stop

    def _alike(self, first: int, rows: Columns, code: int) -> Iterator[Runs]:
        """Neighbouring chunks from `first` on, all of one code."""
        count = len(rows.at)
        stop = (first + count) * self.block
        if code == ZERO:
            yield hole(first * self.block, min(stop, self.size))
            return
        whole = count - (stop > self.size)  # the last chunk may be short
        if whole:
            some = rows if whole == count else rows.part(0, whole)
            yield self._made(first, self.block, some, code)
        if whole < count:
            yield self._made(first + whole, self.size % self.block, rows.part(whole, count), code)

    def _made(self, first: int, length: int, rows: Columns, code: int) -> Runs:
        """The runs of chunks of `length` guest bytes each, the first of them number `first`."""
        self._judge(first, rows, length if code == PLAIN else 1)
        count, start = len(rows.at), first * self.block
        starts = array("q", range(start, start + count * length, length))
        lengths, none = array("q", [length]) * count, array("q")
        if code != PLAIN:
            kinds, skips = array("B", [Kind.CODED]) * count, array("q", bytes(8 * count))
            return Runs(starts, lengths, rows.at, kinds, rows.stored, skips,
                        self._data, self._codecs[code], length)  # fmt: skip
        # of the shape that coded neighbours have, so that both go in one block
        codec = self._codecs[0] if self._codecs else None
        kinds, chunk = array("B", [Kind.DATA]) * count, self.block if codec else 0
        return coalesce(Runs(starts, lengths, rows.at, kinds, none, none, self._data, codec, chunk))

    def _judge(self, first: int, rows: Columns, least: int) -> None:
        """Each chunk has a length that it can have, at least `least`, and lies inside the file."""
        if min(rows.stored) < least or max(rows.stored) > self._most or min(rows.at) < 0:
            row = next(
                i for i, (at, stored) in enumerate(zip(rows.at, rows.stored, strict=True))
                if at < 0 or not least <= stored <= self._most
            )  # fmt: skip
            raise CorruptError(
                f"chunk {first + row} has {rows.stored[row]} stored bytes at {rows.at[row]}, it can"
                f" have {least} to {self._most}",
                file=self._data.name,
            )
        ends, size = list(map(add, rows.at, rows.stored)), self._data.size
        if max(ends) > size:
            row = next(i for i, end in enumerate(ends) if end > size)
            error = TruncatedError(
                f"chunk {first + row} (guest byte {(first + row) * self.block}) ends at"
                f" {ends[row]}, the file has {size} bytes",
                file=self._data.name,
                at=size,
                remedy="the file is cut short: copy or download it again",
            )
            behind = next((i for i in range(row, len(ends)) if ends[i] <= size), len(ends))
            error.lost = (behind - row - 1) * self.block  # what is asked may begin in the first
            raise error
