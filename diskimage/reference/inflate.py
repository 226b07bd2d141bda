"""Twin of `kernels.inflate`: RFC 1951 symbol by symbol."""

from __future__ import annotations

import struct
from array import array
from typing import NamedTuple

WINDOW = 1 << 15
MARGIN = 320  # the longest copy, and some more that a kernel may write
MORE, FULL, BORDER, END, BAD, FAR = 0, 1, 2, 3, -1, -2
_NEXT = 4
_HEADER, _STORED, _CODES = 0, 1, 2
_FORM = struct.Struct("<BBHHH320s")  # mode, final, left, codes of both kinds, their lengths
STATE = _FORM.size

_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_REPEAT = {16: (2, 3), 17: (3, 3), 18: (7, 11)}  # extra bits, the least number
_LENGTHS = (
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
)  # fmt: skip
_FIXED = bytes([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), bytes([5] * 32)
_Code = dict[tuple[int, int], int]  # (bits, value read bit by bit) to the symbol


class _ShortError(Exception):
    """The coded bytes end inside of what is read."""


class _WrongError(Exception):
    """What is read is no deflate; `told` says which way."""

    def __init__(self, told: int = BAD) -> None:
        super().__init__(told)
        self.told = told


class _Bits:
    def __init__(self, data: memoryview, at: int) -> None:
        self.data, self.at = data, at

    def take(self, count: int) -> int:
        value = 0
        for bit in range(count):
            if self.at >= 8 * len(self.data):
                raise _ShortError
            value |= (self.data[self.at >> 3] >> (self.at & 7) & 1) << bit
            self.at += 1
        return value

    def symbol(self, code: _Code) -> int:
        value = 0
        for bits in range(1, 16):
            value = value << 1 | self.take(1)
            if (bits, value) in code:
                return code[bits, value]
            if not code:
                break
        raise _WrongError


class _Block(NamedTuple):
    """What a header says: the kind of block, the bytes of a stored one, and its codes."""

    mode: int
    final: int
    left: int = 0
    lengths: bytes = b""
    distances: bytes = b""


def _code(lengths: bytes, *, whole: bool = False) -> _Code:
    code: _Code = {}
    value, left = 0, 1
    for bits in range(1, 16):
        value, left = value << 1, left << 1
        for symbol, length in enumerate(lengths):
            if length == bits:
                code[bits, value] = symbol
                value, left = value + 1, left - 1
        if left < 0:
            raise _WrongError
    few = not code or (len(code) == 1 and (1, 0) in code)
    if left and (whole or not few):
        raise _WrongError
    return code


def _header(bits: _Bits) -> _Block:
    final, kind = bits.take(1), bits.take(2)
    if kind == 0:
        bits.at += -bits.at % 8
        length, again = bits.take(16), bits.take(16)
        if length != again ^ 0xFFFF:
            raise _WrongError
        return _Block(_STORED, final, length)
    if kind == 3:
        raise _WrongError
    made = _Block(_CODES, final, 0, *(_FIXED if kind == 1 else _own(bits)))
    if not made.lengths[256]:
        raise _WrongError
    _code(made.lengths), _code(made.distances)
    return made


def _own(bits: _Bits) -> tuple[bytes, bytes]:
    count, distances, smalls = 257 + bits.take(5), 1 + bits.take(5), 4 + bits.take(4)
    small = bytearray(19)
    for place in _ORDER[:smalls]:
        small[place] = bits.take(3)
    if count > 286 or distances > 30:
        raise _WrongError
    code, lengths = _code(bytes(small), whole=True), bytearray()
    while len(lengths) < count + distances:
        symbol = bits.symbol(code)
        extra, least = _REPEAT.get(symbol, (0, 1))
        repeat = least + bits.take(extra)
        if (symbol == 16 and not lengths) or repeat > count + distances - len(lengths):
            raise _WrongError
        lengths += bytes([lengths[-1] if symbol == 16 else 0 if symbol > 16 else symbol]) * repeat
    return bytes(lengths[:count]), bytes(lengths[count:])


def _extra(symbol: int) -> tuple[int, int]:
    """Extra bits and the least distance of a symbol for distances."""
    bits = max(0, symbol - 2) >> 1
    return bits, 1 + ((2 + (symbol & 1)) << bits if symbol > 3 else symbol)


class _Run:
    """One call: the bits, the room, and where it is."""

    def __init__(
        self, coded: memoryview, out: memoryview, first: int, border: int, place: array[int]
    ) -> None:
        self.bits, self.out, self.first, self.border = _Bits(coded, place[0]), out, first, border
        self.done = place[1]

    def go(self, block: _Block | None) -> tuple[int, _Block | None]:
        """Until there is a reason to stop; the block that it stopped in."""
        while True:
            if len(self.out) - self.done < MARGIN:
                return FULL, block
            if block is None:
                start = self.bits.at
                try:
                    block = _header(self.bits)
                except (_ShortError, _WrongError) as error:
                    self.bits.at = start
                    return (MORE if isinstance(error, _ShortError) else BAD), None
            told, block = self.stored(block) if block.mode == _STORED else self.codes(block)
            if told != _NEXT:
                return told, block
            if block.final:
                return END, None
            if self.done >= self.border:
                return BORDER, None
            block = None

    def stored(self, block: _Block) -> tuple[int, _Block]:
        """Bytes as they stand."""
        at, room = self.bits.at // 8, len(self.out) - self.done - MARGIN + 1
        count = min(block.left, room, len(self.bits.data) - at)
        self.out[self.done : self.done + count] = self.bits.data[at : at + count]
        self.bits.at, self.done = 8 * (at + count), self.done + count
        block = block._replace(left=block.left - count)
        return (FULL if count == room else MORE) if block.left else _NEXT, block

    def codes(self, block: _Block) -> tuple[int, _Block]:
        """Symbol by symbol; one that is cut is read again with what follows."""
        lengths, distances = _code(block.lengths), _code(block.distances)
        while len(self.out) - self.done >= MARGIN:
            start = self.bits.at
            try:
                if not self._one(lengths, distances):
                    return _NEXT, block
            except _ShortError:
                self.bits.at = start
                return MORE, block
            except _WrongError as error:
                return error.told, block
        return FULL, block

    def _one(self, lengths: _Code, distances: _Code) -> bool:
        symbol = self.bits.symbol(lengths)
        if symbol < 256:
            self.out[self.done] = symbol
            self.done += 1
            return True
        if symbol == 256:
            return False
        if symbol > 285:
            raise _WrongError
        extra = 0 if symbol in (285, *range(257, 265)) else (symbol - 261) // 4
        length = _LENGTHS[symbol - 257] + self.bits.take(extra)
        code = self.bits.symbol(distances)
        if code > 29:
            raise _WrongError
        extra, least = _extra(code)
        distance = least + self.bits.take(extra)
        if distance > self.done - self.first:
            raise _WrongError(FAR)
        for _ in range(length):
            self.out[self.done] = self.out[self.done - distance]
            self.done += 1
        return True


def inflate(
    coded: memoryview, out: memoryview, first: int, border: int, place: array[int],
    memory: bytearray,
) -> int:  # fmt: skip
    """Decode from bit place[0] of `coded` to byte place[1] of `out`; both are moved on."""
    mode, final, left, count, distances, lengths = _FORM.unpack(memory)
    block = _Block(mode, final, left, lengths[:count], lengths[count : count + distances])
    run = _Run(coded, out, first, border, place)
    told, after = run.go(None if mode == _HEADER else block)
    place[0], place[1] = run.bits.at, run.done
    after = after or _Block(_HEADER, 0)
    memory[:] = _FORM.pack(after.mode, after.final, after.left, len(after.lengths),
                           len(after.distances), after.lengths + after.distances)  # fmt: skip
    return told
