"""The chunks of a set: which table has which, where each is stored, and how it is checked."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import accumulate
from threading import Lock
from typing import NamedTuple
from zlib import adler32

from diskimage.errors import ChecksumError, CorruptError
from diskimage.formats.e01.layout import COMPRESSED, Table
from diskimage.layers.chunks import PAGE, Columns
from diskimage.layers.table import words
from diskimage.model import Codec, Gate, Source
from diskimage.parse import read

SUM = 4  # bytes of the Adler-32 behind a chunk that is stored as it is
KEPT = 4  # tables whose columns are held: of 16,375 chunks each, 1.2 MiB
EITHER, CODED, SUMMED, SHORT_CODED, SHORT_SUMMED, PATTERN = range(6)
"""Codes of chunks: EITHER where the stored length tells which it is, so that chunks of both sorts
are columns of one codec; SHORT of the last one, which may be stored as long as the others."""


class Summed:
    """A codec of chunks stored as they are with their Adler-32 behind. `name` is "stored"."""

    name = "stored"

    def decode(self, coded: memoryview, want: int) -> bytes:
        """Exactly `want` bytes, which outlive `coded`. CorruptError, ChecksumError."""
        if len(coded) != want + SUM:
            raise CorruptError(f"has {len(coded)} bytes stored for {want} and their sum")
        if not _right(coded, want):
            raise ChecksumError("its Adler-32 is wrong")
        return bytes(coded[:want])

class Either:
    """A codec of chunks that are stored plain where their length says so, else by `inner`."""

    def __init__(self, inner: Codec) -> None:
        self.name, self._inner, self._plain = inner.name, inner, Summed()

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes. CorruptError, ChecksumError."""
        codec = self._plain if len(coded) == want + SUM else self._inner
        return codec.decode(coded, want)

class Short:
    """A codec of the last chunk, of which more may be stored than the guest has, as a rule `whole`
    bytes: by `inner`, or with their sum behind where that is None."""

    def __init__(self, inner: Codec | None, whole: int) -> None:
        self.name, self._inner, self._whole = inner.name if inner else "stored", inner, whole

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes. CorruptError, ChecksumError."""
        if self._inner is None:
            stored = (want, self._whole, len(coded) - SUM)
            if any(_right(coded, length) for length in stored if length >= want):
                return bytes(coded[:want])
            raise ChecksumError("its Adler-32 is wrong")
        try:
            return self._inner.decode(coded, want)
        except CorruptError:
            return memoryview(self._inner.decode(coded, self._whole))[:want]

class Pattern:
    """A codec of chunks of which eight bytes are stored, to be repeated. `name` is "pattern"."""

    name = "pattern"

    def decode(self, coded: memoryview, want: int) -> bytes:
        """Exactly `want` bytes."""
        return (bytes(coded) * (want // len(coded) + 1))[:want]

    def encode(self, plain: memoryview) -> bytes | None:
        """Eight bytes, where they are all there is."""
        few = bytes(plain[:8])
        return few if len(few) == 8 and self.decode(memoryview(few), len(plain)) == plain else None


def _right(coded: memoryview, length: int) -> bool:
    """Whether the sum of the first `length` bytes stands behind them."""
    stored = coded[length : length + SUM]
    return len(stored) == SUM and adler32(coded[:length]) == int.from_bytes(stored, "little")


def by_code(inner: Codec, chunk: int) -> tuple[Codec, ...]:
    """The codecs of a set whose chunks are compressed by `inner`."""
    return Either(inner), inner, Summed(), Short(inner, chunk), Short(None, chunk), Pattern()


def most(chunk: int) -> int:
    """Stored bytes that a chunk can have: what does not get smaller gets a little larger."""
    return 2 * chunk + 4096


class Chunks:
    """The tables of a set in order; `load` reads the columns of one."""

    def __init__(
        self, tables: Sequence[Table], chunks: int, load: Callable[[Table], Columns]
    ) -> None:
        self.tables, self._chunks, self._load = tables, chunks, load
        self._firsts = list(accumulate((one.chunks for one in tables), initial=0))
        self._loaded: OrderedDict[int, Columns] = OrderedDict()
        self._lock = Lock()

    def page(self, number: int) -> Columns:
        """The columns of chunks from number * PAGE on. Raises what the tables do."""
        first = number * PAGE
        stop = min(first + PAGE, self._chunks)
        at, stored, code = array("q"), array("q"), b""
        while first < stop:
            index = bisect_right(self._firsts, first) - 1
            begin, end = self._firsts[index], min(stop, self._firsts[index + 1])
            count = end - first
            if self.tables[index].at < 0:  # no chunk has no bytes: who asks gets an error
                part = Columns(array("q", bytes(8 * count)), array("q", bytes(8 * count)),
                               bytes([CODED]) * count)  # fmt: skip
            else:
                part = self._table(index).part(first - begin, end - begin)
            at, stored, code = at + part.at, stored + part.stored, code + part.code
            first = end
        return Columns(at, stored, code)

    def _table(self, index: int) -> Columns:
        with self._lock:
            if index not in self._loaded:
                self._loaded[index] = self._load(self.tables[index])
                while len(self._loaded) > KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(index)
            return self._loaded[index]


class Last(NamedTuple):
    """The last chunk of the guest: its number, and its bytes."""

    number: int
    length: int


class Entries:
    """The entries of the tables of version 1, out of the set `data`."""

    def __init__(self, data: Source, gate: Gate, chunk: int, last: Last) -> None:
        self.data, self._gate, self._chunk, self._last = data, gate, chunk, last
        self._told: set[int] = set()  # places of tables that were found wrong

    def proven(self, table: Table) -> bytearray:
        """The entries of a table, or of its copy, with a right sum. ChecksumError."""
        for one in (table, table.copy):
            if one is None:
                continue
            raw = read(self.data, one.at, 4 * one.chunks, "a table of chunks")
            if one.sum is None or adler32(raw) == one.sum:
                return raw
            if one.at not in self._told:
                self._told.add(one.at)
                self._gate.warn("checksum", "the sum of a table of chunks is wrong", one.at)
        text = "the sums of a table of chunks and of its copy are wrong"
        raise ChecksumError(text, file=self.data.name, at=table.at)

    def columns(self, table: Table) -> Columns:
        """Places, stored bytes and codes. CorruptError where a chunk lies outside its section.

        An entry is 31 bits of place and one that says compressed. EnCase 6.7.1 wrote 32 bits of
        place past 2 GiB: from the first that goes back on, entries are such, of plain chunks.
        """
        raw = words(self.proven(table), "I")
        low = [word & ~COMPRESSED for word in raw]
        over = next((i for i in range(1, len(low)) if low[i] < low[i - 1]), len(low))
        coded = bytes(word >> 31 for word in raw[:over]) + bytes(len(low) - over)
        at = array("q", [table.base + place for place in (*low[:over], *raw[over:])])
        ends = at[1:]
        ends.append(table.stop)
        if at and (min(at) < table.begin or max(at) >= table.stop):
            text = f"a chunk of the table at {table.at} lies outside of its section"
            raise CorruptError(text, file=self.data.name, at=table.at)
        return self._sorted(table, at, ends, coded)

    def _sorted(self, table: Table, at: array[int], ends: array[int], coded: bytes) -> Columns:
        """Stored bytes, as the next chunk or the section's end bounds them, and codes."""
        whole, limit = self._chunk + SUM, most(self._chunk)
        stored, code = array("q"), bytearray()
        for place, end, packed in zip(at, ends, coded, strict=True):
            room = end - place
            stored.append(min(room, limit) if packed else min(room, whole))
            code.append(CODED if packed and room == whole else EITHER)
            if not packed and room < whole:
                code[-1] = SUMMED
        last = self._last.number - table.first
        if 0 <= last < table.chunks and self._last.length < self._chunk:
            code[last] = SHORT_CODED if coded[last] else SHORT_SUMMED
        return Columns(at, stored, bytes(code))
