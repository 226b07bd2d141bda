"""The guest bytes of a compressed CHD: hunks decoded when they are read, each held to its CRC.

A hunk is compressed by one of up to four codecs, stored as it is, a pattern of 8 bytes, the copy of
an earlier hunk, or a part of the parent. So the map is no table of places in the file, and the sum
of what a hunk decodes to stands in the map: this is a source that computes, and its extents are
plain. Any thread may read; each decodes the hunks of its own range.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from threading import Lock
from typing import NamedTuple

from diskimage.errors import (
    ChecksumError,
    ContentError,
    CorruptError,
    DiskImageError,
    RefusedReferenceError,
)
from diskimage.formats.chd.layout import NOBODY, OLD_ROW, ROW, Header
from diskimage.kernels.chd import Layout, crc16, map_read
from diskimage.layers.table import Flat, Pages
from diskimage.limits import MIB, RUNS_ROWS, Limits
from diskimage.model import Codec, Source
from diskimage.parse import demand, read

KEPT = 4 * MIB  # of decoded hunks, for readers of a few sectors
COVER = 4 * MIB  # stored hunks this near to each other are read at once
HOPS = 8  # from copy to copy: writers make one


class Kind(IntEnum):
    """What a hunk is; below PLAIN it is the number of its codec."""

    PLAIN = 4
    COPY = 5
    PARENT = 6
    PATTERN = 7
    UNKNOWN = 8


class Row(NamedTuple):
    """A hunk: `place` is a byte of the file, a hunk (COPY), a byte of the parent (PARENT), or the
    pattern itself; `crc` None where none is told."""

    kind: int
    place: int
    stored: int
    crc: int | None


Rows = Callable[[int, int], list[Row]]
"""The hunks [first, last)."""

_NEW = Struct(">IHIH")  # type and length, place, CRC-16
_OLD = Struct(">QIHBB")  # place, CRC-32, length, its upper byte, flags
_BITS = Struct(">I6sHBBBx")  # of the compressed map: bytes, first place, CRC-16, bits of fields
_NO_CRC = 0x10
_OLD_KINDS = {1: 0, 2: Kind.PLAIN, 3: Kind.PATTERN, 4: Kind.COPY, 5: Kind.PARENT}


class NewMap:
    """The map of version 5, expanded when it is first asked for."""

    def __init__(self, header: Header, source: Source) -> None:
        raw = read(source, header.map_at, _BITS.size, "the map of hunks")
        length, first, self._crc, *bits = _BITS.unpack(raw)
        demand(source, header.map_at + _BITS.size, length, "the map of hunks")
        if bits[0] > 24 or max(bits[1:]) > 48:
            text = f"a map with fields of {bits[0]}, {bits[1]} and {bits[2]} bits"
            raise CorruptError(text, file=source.name, at=header.map_at + 12)
        units = header.hunk // header.unit
        self._how = Layout(header.hunk, units, int.from_bytes(first, "big"), *bits)
        self._header, self._source, self._length = header, source, length
        self._rows: bytearray | None = None
        self._error: ContentError | None = None
        self._lock = Lock()

    def rows(self, first: int, last: int) -> list[Row]:
        """The hunks [first, last). CorruptError, ChecksumError."""
        part = memoryview(self._expanded())[first * ROW : last * ROW]
        unit = self._header.unit
        return [
            Row(word >> 24, _place(word >> 24, high << 32 | low, unit), word & 0xFFFFFF, crc)
            for word, high, low, crc in _NEW.iter_unpack(part)
        ]

    def _expanded(self) -> bytearray:
        """All rows, or the error that there are none, whoever asks for however many of them."""
        with self._lock:
            if self._error is not None:
                raise self._error.with_traceback(None)  # else it grows each time
            try:
                if self._rows is None:
                    self._rows = self._expand()
            except ContentError as error:
                self._error = error
                raise
            return self._rows

    def _expand(self) -> bytearray:
        at, hunks, name = self._header.map_at, self._header.hunks, self._source.name
        bits = read(self._source, at + _BITS.size, self._length, "the map of hunks")
        rows = map_read(bits, self._how, hunks)
        if len(rows) != hunks * ROW:
            raise CorruptError(
                f"its map has {len(rows) // ROW} of {hunks} hunks that mean anything",
                file=name,
                at=at,
            )
        if crc16(rows) != self._crc:
            raise ChecksumError(
                f"the CRC-16 of its map is {crc16(rows):04x}, the file says {self._crc:04x}",
                file=name,
                at=at + 10,
            )
        return rows


def _place(kind: int, place: int, unit: int) -> int:
    return place * unit if kind == Kind.PARENT else place


def old_rows(header: Header, source: Source, limits: Limits) -> Rows:
    """The map of versions 3 and 4, read by page."""
    pages = Pages(source, limits.table_resident)
    flat = Flat(pages, header.map_at, header.hunks, OLD_ROW, "the map of hunks")

    def rows(first: int, last: int) -> list[Row]:
        return [
            _old_row(values, header.hunk)
            for piece in flat.pieces(first, last)
            for values in _OLD.iter_unpack(piece.entries or b"")
        ]

    return rows


def _old_row(values: tuple[int, int, int, int, int], hunk: int) -> Row:
    place, crc, low, high, flags = values
    kind = _OLD_KINDS.get(flags & 15, Kind.UNKNOWN)
    if kind == Kind.PARENT:
        place *= hunk
    stored = hunk if kind == Kind.PLAIN else high << 16 | low
    return Row(kind, place, stored, None if flags & _NO_CRC else crc)


class Hunks:
    """The guest bytes as a source. `parent` answers for hunks that are parts of it; None where it
    was not to be opened: they are RefusedReferenceError."""

    fd: int | None = None
    decodes = True

    def __init__(
        self,
        header: Header,
        source: Source,
        rows: Rows,
        codecs: Sequence[Codec],
        parent: Source | None,
    ) -> None:
        self.name, self.size = source.name, header.size
        self._header, self._source, self.rows = header, source, rows
        self._codecs, self._parent = codecs, parent
        self._kept = lru_cache(max(1, KEPT // header.hunk))(self._alone)

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from guest byte `at`; fewer bytes only at the end.

        Raises CorruptError, ChecksumError, TruncatedError naming the hunk, RefusedReferenceError.
        """
        hunk, stop = self._header.hunk, min(at + len(buffer), self.size)
        if at >= stop:
            return 0
        first, whole_first, whole_last = at // hunk, -(-at // hunk), stop // hunk
        if first < whole_first:
            self._part(first, at, buffer[: min(stop, whole_first * hunk) - at])
        if whole_first < whole_last:
            self._whole(
                whole_first, whole_last, buffer[whole_first * hunk - at : whole_last * hunk - at]
            )
        if whole_last >= whole_first and whole_last * hunk < stop:
            self._part(whole_last, whole_last * hunk, buffer[whole_last * hunk - at : stop - at])
        return stop - at

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """What is computed is there."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """The file stays its owner's."""

    def _part(self, index: int, start: int, out: memoryview) -> None:
        """A part of a hunk, from guest byte `start` on."""
        skip = start - index * self._header.hunk
        out[:] = memoryview(self._kept(index))[skip : skip + len(out)]

    def _alone(self, index: int) -> bytes:
        out = memoryview(bytearray(self._header.hunk))
        self._whole(index, index + 1, out)
        return bytes(out)

    def _whole(self, first: int, last: int, out: memoryview) -> None:
        """Hunks [first, last), their stored bytes in as few reads as their places allow."""
        hunk = self._header.hunk
        step = min(max(1, COVER // hunk), RUNS_ROWS)
        for low in range(first, last, step):
            rows = self.rows(low, min(last, low + step))
            stored = self._stored(low, rows)
            for i, row in enumerate(rows, low):
                self._fill(
                    i, row, stored[i - low], out[(i - first) * hunk : (i - first + 1) * hunk]
                )

    def _stored(self, first: int, rows: list[Row]) -> list[memoryview]:
        """The stored bytes of each hunk, empty for those that have none.

        Writers store a hunk plainly that would not become smaller: one of twice its bytes is
        CorruptError before it is read.
        """
        kept = [row for row in rows if row.kind <= Kind.PLAIN]
        for i, row in enumerate(rows, first):
            if row.kind <= Kind.PLAIN and row.stored > 2 * self._header.hunk:
                text = f"is stored in {row.stored} bytes, it has {self._header.hunk}"
                raise self._wrong(CorruptError, i, text, row.place)
        low = min((row.place for row in kept), default=0)
        stop = max((row.place + row.stored for row in kept), default=0)
        near = stop - low <= 2 * sum(row.stored for row in kept) + COVER
        cover = memoryview(b"")
        if near and stop <= self._source.size:
            cover = memoryview(read(self._source, low, stop - low, f"hunk {first}"))
        return [
            memoryview(b"")
            if row.kind > Kind.PLAIN
            else cover[row.place - low : row.place - low + row.stored]
            if cover
            else memoryview(read(self._source, row.place, row.stored, f"hunk {i}"))
            for i, row in enumerate(rows, first)
        ]

    def _fill(self, index: int, row: Row, stored: memoryview, out: memoryview) -> None:
        """One hunk into `out`, held to its CRC."""
        if row.kind == Kind.COPY:
            out[:] = self._kept(self._original(index, row))
            return
        if row.kind == Kind.PARENT:
            self._from_parent(index, row, out)
            return
        if row.kind < len(self._codecs):
            try:
                out[:] = self._codecs[row.kind].decode(stored, len(out))
            except DiskImageError as error:
                raise self._wrong(CorruptError, index, error.message, row.place) from None
        elif row.kind == Kind.PLAIN:
            out[:] = stored
        elif row.kind == Kind.PATTERN:
            out[:] = (row.place.to_bytes(8, "big") * (len(out) // 8 + 1))[: len(out)]
        else:
            raise self._wrong(CorruptError, index, f"is of kind {row.kind}, which has no meaning")
        if row.crc is None:
            return
        crc = crc16(out) if self._header.version == 5 else zlib.crc32(out)
        if crc != row.crc:
            text = f"its CRC is {crc:x}, the map says {row.crc:x}"
            raise self._wrong(ChecksumError, index, text, row.place)

    def copied(self, index: int, row: Row) -> Row:
        """The row of the hunk that a copy stands for. Raises CorruptError."""
        at = self._original(index, row)
        return self.rows(at, at + 1)[0]

    def _original(self, index: int, row: Row) -> int:
        """The hunk that a copy, or a copy of a copy, stands for: always an earlier one."""
        at = index
        for _ in range(HOPS):
            if row.place >= at:
                break
            at = row.place
            row = self.rows(at, at + 1)[0]
            if row.kind != Kind.COPY:
                return at
        text = f"is a copy of hunk {row.place}, which is no earlier one or a copy again"
        raise self._wrong(CorruptError, index, text)

    def _from_parent(self, index: int, row: Row, out: memoryview) -> None:
        if self._header.parent == NOBODY:
            raise self._wrong(CorruptError, index, "is a part of a parent, and none is named")
        if self._parent is None:
            raise RefusedReferenceError(
                f"hunk {index} is a part of its parent, which was not opened",
                file=self.name,
                remedy="open it with its parent allowed, or read another part",
            )
        want = min(len(out), self.size - index * len(out))
        if row.place + want > self._parent.size:
            text = f"is at {row.place} of its parent, which has {self._parent.size} bytes"
            raise self._wrong(CorruptError, index, text)
        out[want:] = bytes(len(out) - want)
        got = self._parent.read_into(row.place, out[:want])
        assert got == want

    def _wrong(
        self, kind: type[DiskImageError], index: int, text: str, at: int | None = None
    ) -> DiskImageError:
        start = index * self._header.hunk
        return kind(
            f"hunk {index} (guest bytes {start} to {min(self.size, start + self._header.hunk)}):"
            f" {text}",
            file=self.name,
            at=at,
            remedy="the file is damaged: copy or download it again",
        )
