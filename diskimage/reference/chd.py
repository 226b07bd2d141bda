"""Twins of `kernels.chd`."""

from __future__ import annotations

from binascii import crc_hqx
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from diskimage.reference.frames import SYNC, ecc

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

FRAME, SUB = 2352, 96
UNIT = FRAME + SUB
ROW = 12  # bytes of a row of the expanded map
_CODES, _MAP_BITS = 16, 8
_SMALL, _SMALL_BITS, _BYTE_BITS = 24, 7, 16
_PLAIN, _SELF, _PARENT, _RUN, _LONG_RUN = 4, 5, 6, 7, 8
_SELF_SAME, _SELF_NEXT, _PARENT_HERE, _PARENT_SAME, _PARENT_NEXT = 9, 10, 11, 12, 13
_MODE, _CODED_AT = 15, 2076


class Layout(NamedTuple):
    """Of a map: bytes and units of a hunk, where the first stored one lies, the bits of fields."""

    hunk: int
    hunk_units: int
    first: int
    length_bits: int
    self_bits: int
    parent_bits: int


def crc16(buffer: ReadableBuffer, value: int = 0xFFFF) -> int:
    """Polynomial 0x1021, the highest bit first."""
    return crc_hqx(memoryview(buffer).cast("B"), value)


class EndOfBitsError(Exception):
    """There are no more bits, or they mean nothing."""


class Bits:
    """Bits of a buffer, the highest first."""

    def __init__(self, data: ReadableBuffer) -> None:
        self.data = bytes(memoryview(data).cast("B"))
        self.at = 0

    def peek(self, count: int) -> int:
        """The next bits as a number; zeros behind the end."""
        first, skip = divmod(self.at, 8)
        size = (skip + count + 7) // 8
        raw = self.data[first : first + size].ljust(size, b"\0")
        return int.from_bytes(raw, "big") >> 8 * size - skip - count & (1 << count) - 1

    def take(self, count: int) -> int:
        """The next bits as a number. Raises EndOfBitsError."""
        value = self.peek(count)
        self.drop(count)
        return value

    def drop(self, count: int) -> None:
        """Go on by so many bits. Raises EndOfBitsError."""
        self.at += count
        if self.at > 8 * len(self.data):
            raise EndOfBitsError


class Codes:
    """Canonical codes by their lengths; the longest have the lowest values."""

    def __init__(self, lengths: Sequence[int], width: int) -> None:
        values = _values(lengths, width)
        self.width = width
        self.entries: dict[tuple[int, int], int] = {
            (lengths[i], value): i for i, value in values.items()
        }

    def symbol(self, bits: Bits) -> int:
        """The next symbol. Raises EndOfBitsError."""
        ahead = bits.peek(self.width)
        for length in range(1, self.width + 1):
            found = self.entries.get((length, ahead >> self.width - length))
            if found is not None:
                bits.drop(length)
                return found
        raise EndOfBitsError


def _values(lengths: Sequence[int], width: int) -> dict[int, int]:
    """The code of each symbol that has one. EndOfBitsError where they are no complete set."""
    values: dict[int, int] = {}
    start = 0
    if max(lengths) > width:
        raise EndOfBitsError
    for length in range(width, 0, -1):
        for i, one in enumerate(lengths):
            if one == length:
                values[i] = start
                start += 1
        if length > 1 and start & 1:
            raise EndOfBitsError
        if length == 1 and start > 2:
            raise EndOfBitsError
        start >>= 1
    return values


def map_read(data: ReadableBuffer, how: Layout, hunks: int) -> bytearray:
    """Types first, then what each of them needs."""
    bits, rows = Bits(data), bytearray()
    types: list[int] = []
    try:
        codes = Codes(_map_lengths(bits), _MAP_BITS)
        types.extend(islice(_types(bits, codes), hunks))
    except EndOfBitsError:
        pass
    at, self_at, parent = how.first, 0, 0
    try:
        for i, kind in enumerate(types):
            length = crc = 0
            if kind == _SELF:
                self_at = bits.take(how.self_bits)
            elif kind == _PARENT:
                parent = bits.take(how.parent_bits)
            elif kind < _SELF:
                length = how.hunk if kind == _PLAIN else bits.take(how.length_bits)
                crc = bits.take(16)
            self_at += kind == _SELF_NEXT
            parent += how.hunk_units * (kind == _PARENT_NEXT)
            if kind == _PARENT_HERE:
                parent = i * how.hunk_units
            place = at if kind < _SELF else self_at if _is_self(kind) else parent
            type_ = kind if kind < _SELF else _SELF if _is_self(kind) else _PARENT
            rows += _row(type_, length, place, crc)
            at += length
    except EndOfBitsError:
        pass
    return rows


def _is_self(kind: int) -> bool:
    return kind in (_SELF, _SELF_SAME, _SELF_NEXT)


def _row(kind: int, length: int, place: int, crc: int) -> bytes:
    low = (1 << 48) - 1
    return bytes([kind]) + length.to_bytes(3, "big") + (place & low).to_bytes(6, "big") + (
        crc.to_bytes(2, "big")
    )  # fmt: skip


def _map_lengths(bits: Bits) -> list[int]:
    """The lengths of 16 codes: 1 escapes a repeat, twice stands for itself."""
    lengths: list[int] = []
    while len(lengths) < _CODES:
        length, repeat = bits.take(4), 1
        if length == 1:
            length = bits.take(4)
            repeat = 1 if length == 1 else bits.take(4) + 3
        lengths += [length] * repeat
    return lengths[:_CODES]


def _types(bits: Bits, codes: Codes) -> Iterator[int]:
    """The type of each hunk, without an end."""
    last = 0
    while True:
        kind, repeat = codes.symbol(bits), 0
        if kind == _RUN:
            repeat = 2 + codes.symbol(bits)
        elif kind == _LONG_RUN:
            repeat = 18 + 16 * codes.symbol(bits)
            repeat += codes.symbol(bits)
        elif kind > _PARENT_NEXT:
            raise EndOfBitsError
        else:
            last = kind
        for _ in range(repeat + 1):
            yield last


def map_write(rows: ReadableBuffer, how: Layout) -> bytes:
    """The codes' lengths, the types with their runs told, then what each type needs."""
    view = memoryview(rows).cast("B")
    kinds, details, self_at = [], [], 0
    for at in range(0, len(view), ROW):
        row = view[at : at + ROW]
        length, place, crc = (
            int.from_bytes(row[a:b], "big") for a, b in ((1, 4), (4, 10), (10, 12))
        )
        kind = row[0]
        if kind == _SELF:
            kind = {0: _SELF_SAME, 1: _SELF_NEXT}.get(place - self_at, _SELF)
            self_at = place
            if kind == _SELF:
                details.append((how.self_bits, place))
        else:
            if kind != _PLAIN:
                details.append((how.length_bits, length))
            details.append((16, crc))
        kinds.append(kind)
    symbols = list(_symbols(kinds))
    lengths = _lengths(Counter(symbols))
    values = _values(lengths, _MAP_BITS)
    head = [(4, n) for length in lengths for n in ((1, 1) if length == 1 else (length,))]
    body = [(lengths[one], values[one]) for one in symbols]
    text = "".join(f"{value:0{count}b}" for count, value in head + body + details if count)
    text += "0" * (-len(text) % 8)
    return int(text or "0", 2).to_bytes(len(text) // 8, "big")


def _symbols(kinds: Sequence[int]) -> Iterator[int]:
    """Types as symbols: runs of one type that follow it are told by their length."""
    last, run = 0, 0
    for kind in [*kinds, -1]:
        if kind == last:
            run += 1
            continue
        while run:
            if run < 3:
                now = 1
                yield last
            elif run < 19:
                now = run
                yield from (_RUN, run - 3)
            else:
                now = min(run, 19 + 255)
                yield from (_LONG_RUN, now - 19 >> 4, now - 19 & 15)
            run -= now
        if kind >= 0:
            yield kind
        last = kind


def _lengths(counts: Counter[int]) -> list[int]:
    """Code lengths by weight; weights are halved until no code is too long."""
    weights = {one: count for one, count in sorted(counts.items()) if count}
    while True:
        depth = dict.fromkeys(weights, 0)
        trees: list[tuple[int, int, tuple[int, ...]]] = [
            (weight, i, (one,)) for i, (one, weight) in enumerate(weights.items())
        ]
        made = _CODES
        while len(trees) > 1:
            trees.sort()
            (a, _, left), (b, _, right) = trees[:2]
            for one in left + right:
                depth[one] += 1
            trees[:2] = [(a + b, made, left + right)]
            made += 1
        if len(depth) == 1:
            depth = dict.fromkeys(depth, 1)
        if max(depth.values(), default=0) <= _MAP_BITS:
            return [depth.get(i, 0) for i in range(_CODES)]
        weights = {one: weight // 2 + 1 for one, weight in weights.items()}


def huffman_read(coded: ReadableBuffer, out: WriteableBuffer) -> int:
    """A code of lengths, the lengths of 256 codes by it, then the bytes."""
    view, bits = memoryview(out).cast("B"), Bits(coded)
    done = 0
    try:
        codes = Codes(_byte_lengths(bits), _BYTE_BITS)
        while done < len(view):
            view[done] = codes.symbol(bits)
            done += 1
    except EndOfBitsError:
        pass
    return done


def _byte_lengths(bits: Bits) -> list[int]:
    small = [bits.take(3)] + [0] * (_SMALL - 1)
    for i in range(bits.take(3) + 1, _SMALL):
        length = bits.take(3)
        if length == 7:
            break
        small[i] = length
    codes = Codes(small, _SMALL_BITS)
    lengths: list[int] = []
    last = 0
    while len(lengths) < 256:
        value = codes.symbol(bits)
        if value:
            last = value - 1
            lengths.append(last)
            continue
        repeat = bits.take(3) + 2
        if repeat == 9:
            repeat += bits.take(8)
        lengths += [last] * repeat
    return lengths[:256]


def cd_join(
    main: ReadableBuffer, sub: ReadableBuffer, marked: ReadableBuffer | None, out: WriteableBuffer
) -> None:
    """Frame after frame."""
    frames, subs, view = (memoryview(one).cast("B") for one in (main, sub, out))
    marks = b"" if marked is None else bytes(memoryview(marked).cast("B"))
    for i in range(len(view) // UNIT):
        unit = view[i * UNIT : (i + 1) * UNIT]
        unit[:FRAME] = frames[i * FRAME : (i + 1) * FRAME]
        unit[FRAME:] = subs[i * SUB : (i + 1) * SUB]
        if marks and marks[i >> 3] >> (i & 7) & 1:
            unit[: len(SYNC)] = SYNC
            ecc(unit[:FRAME], _mode(unit))


def cd_split(
    units: ReadableBuffer,
    main: WriteableBuffer,
    sub: WriteableBuffer,
    marked: WriteableBuffer | None,
) -> None:
    """Frame after frame."""
    view, frames, subs = (memoryview(one).cast("B") for one in (units, main, sub))
    marks = None if marked is None else memoryview(marked).cast("B")
    if marks is not None:
        marks[:] = bytes(len(marks))
    for i in range(len(view) // UNIT):
        unit = view[i * UNIT : (i + 1) * UNIT]
        frame = frames[i * FRAME : (i + 1) * FRAME]
        frame[:] = unit[:FRAME]
        subs[i * SUB : (i + 1) * SUB] = unit[FRAME:]
        if marks is None or frame[: len(SYNC)] != SYNC:
            continue
        again = bytearray(frame)
        ecc(again, _mode(frame))
        if again[_CODED_AT:] != frame[_CODED_AT:]:
            continue
        frame[: len(SYNC)] = bytes(len(SYNC))
        frame[_CODED_AT:] = bytes(FRAME - _CODED_AT)
        marks[i >> 3] |= 1 << (i & 7)


def _mode(frame: memoryview) -> int:
    return 2 if frame[_MODE] == 2 else 1
