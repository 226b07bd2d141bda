"""ECM: a dump of frames less the EDC and ECC that can be made again, as the dump that it was.

The stream is records of a type and a count: literal bytes, or frames of which the user data and
little else are stored. Its end tells the EDC of the whole dump, the only check of what is stored:
the codes of each frame are made here, and fit whatever became of its data. Facts: the format as its
own tools write it; frames as ECMA-130 clause 14 has them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

from diskimage.errors import ChecksumError, CorruptError, LimitError, TruncatedError
from diskimage.kernels.frames import RAW, USER, ecc, edc, gather, make
from diskimage.limits import MIB
from diskimage.model import Source
from diskimage.parse import read
from diskimage.sources.made import whole

MAGIC = b"ECM\0"
_SYNC = b"\0" + b"\xff" * 10 + b"\0"
_LITERAL, _MODE1, _FORM1, _FORM2 = range(4)
_STORED = (1, 3 + USER, 4 + USER, 4 + 2324)  # bytes of a unit: address, or subheader, and data
_UNIT = (1, RAW, RAW - 16, RAW - 16)  # bytes of it in the dump
_END = 0xFFFFFFFF
_RECORDS = 1 << 21  # twice as many as the frames of the longest disc, each with a literal header
_WINDOW = MIB
_AHEAD = 64  # stretches of a pass that may come before their turn


class Index(NamedTuple):
    """The records in columns: where each begins in the dump and in the file, and its type."""

    start: array[int]
    at: array[int]
    type: bytearray
    size: int
    edc: int


def index(source: Source) -> Index:
    """The records of a stream, in one pass over it that reads headers alone.

    Raises CorruptError, TruncatedError, and LimitError for more records than a disc can need.
    """
    if bytes(read(source, 0, len(MAGIC), "ECM")) != MAGIC:
        raise CorruptError("no ECM stream", file=source.name, at=0)
    starts, places, types = array("q"), array("q"), bytearray()
    size, at, low, window = 0, len(MAGIC), 0, b""
    while True:
        skip = at - low
        if skip + 6 > len(window):
            low, skip = at, 0
            window = bytes(read(source, at, min(_WINDOW, source.size - at), "an ECM record"))
        type, count, taken = _header(window, skip, source, at)
        at += taken
        if count == _END:
            break
        count += 1
        starts.append(size)
        places.append(at)
        types.append(type)
        size, at = size + count * _UNIT[type], at + count * _STORED[type]
        if at > source.size or len(types) > _RECORDS:
            raise _beyond(source, len(types))
    told = read(source, at, 4, "the EDC at its end")
    return Index(starts, places, types, size, int.from_bytes(told, "little"))


def _header(window: bytes, skip: int, source: Source, at: int) -> tuple[int, int, int]:
    """Type, count and length of a record's header: 5 bits of the count, then 7 a byte."""
    try:
        byte = window[skip]
        type, count, shift, place = byte & 3, byte >> 2 & 31, 5, skip
        while byte & 0x80 and shift < 40:
            place += 1
            byte = window[place]
            count |= (byte & 0x7F) << shift
            shift += 7
    except IndexError:
        raise TruncatedError(
            "its records have no end", file=source.name, at=at, remedy="copy it again"
        ) from None
    if count > _END or (count >= 1 << 31 and count != _END):
        raise CorruptError(f"a record of {count} units", file=source.name, at=at)
    return type, count, place - skip + 1


def _beyond(source: Source, records: int) -> Exception:
    if records > _RECORDS:
        return LimitError(f"more than {_RECORDS} records", file=source.name)
    return TruncatedError(
        f"record {records} goes on after the end of the file",
        file=source.name,
        at=source.size,
        remedy="the file is cut short: copy or download it again",
    )


class Ecm:
    """The dump in an ECM stream: any range of it.

    A pass from beginning to end, in whatever order its stretches come, ends in ChecksumError
    where the whole has not the EDC that the stream tells. Raises what `index` does.

    The EDC is a cyclic code: that of bytes with their own EDC behind them is 0, whatever they are.
    So a Form 2 frame, which ends in its EDC, changes nothing in that of the whole: `blind` says
    that there are some.
    """

    fd: int | None = None
    decodes = True

    def __init__(self, inner: Source) -> None:
        self.name, self._inner = inner.name, inner
        self._index = index(inner)
        self.size = self._index.size
        self.blind = _FORM2 in self._index.type
        self._pass, self._lock = Pass(), Lock()

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises ChecksumError, IoError."""
        stop = min(at + len(buffer), self.size)
        for low in range(at, stop, _WINDOW):
            high = min(low + _WINDOW, stop)
            part = buffer[low - at : high - at]
            self._decode(low, part)
            with self._lock:
                self._pass.add(low, part)
        self._verify()
        return max(0, stop - at)

    def prove(self, passed: Callable[[int], object]) -> None:
        """Make all of it; `passed` is told of the bytes. Raises ChecksumError."""
        buffer = memoryview(bytearray(_WINDOW))
        for at in range(0, self.size, _WINDOW):
            passed(self.read_into(at, buffer))

    def _verify(self) -> None:
        if self._pass.done == self.size and self._pass.value != self._index.edc:
            raise ChecksumError(
                f"the EDC of the whole is {self._pass.value:08x}, the stream says "
                f"{self._index.edc:08x}",
                file=self.name,
                at=self._inner.size,
                remedy="it is damaged: copy or download it again",
            )

    def _decode(self, at: int, out: memoryview) -> None:
        """The bytes from `at` on: the records that hold them, each as far as it is wanted."""
        starts, places, types, size, _ = self._index
        row, stop, done = max(0, bisect_right(starts, at) - 1), at + len(out), 0
        first, held, low = row, b"", 0
        while at < stop:
            end = starts[row + 1] if row + 1 < len(starts) else size
            unit, stored, skip = _UNIT[types[row]], _STORED[types[row]], at - starts[row]
            count = min(end, stop) - at
            one, two = skip // unit, -(-(skip + count) // unit)
            place, length = places[row] + one * stored, (two - one) * stored
            if row == first or place + length > low + len(held):
                low, held = place, bytes(self._ahead(place, max(length, stop - at)))
            units = held[place - low : place - low + length]
            made = units if unit == 1 else _made(types[row], units)
            out[done : done + count] = made[skip - one * unit :][:count]
            at, done, row = at + count, done + count, row + 1

    def _ahead(self, place: int, length: int) -> bytearray:
        """The stored bytes of some records: no more than the bytes that they stand for."""
        return whole(self._inner, place, min(length, self._inner.size - place))

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """What is made again is there."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Close what it is decoded from."""
        self._inner.close()

    def __repr__(self) -> str:
        return f"Ecm({self._inner!r})"


def _made(type: int, stored: bytes) -> bytes | bytearray:
    """Whole units of a type, one behind the other."""
    size = _STORED[type]
    units = [stored[at : at + size] for at in range(0, len(stored), size)]
    if type == _MODE1:
        return _consecutive(stored, len(units)) or b"".join(map(_mode1, units))
    return b"".join(map(_form1 if type == _FORM1 else _form2, units))


def _consecutive(stored: bytes, count: int) -> bytearray | None:
    """Frames of mode 1 at once, where their addresses follow one another; else None."""
    told, user, made = bytearray(3 * count), bytearray(USER * count), bytearray(RAW * count)
    gather(stored, _STORED[_MODE1], 0, 3, told)
    gather(stored, _STORED[_MODE1], 3, USER, user)
    minute, second, frame = ((byte >> 4) * 10 + (byte & 15) for byte in told[:3])
    make(user, made, 1, (minute * 60 + second) * 75 + frame - 150)
    again = bytearray(3 * count)
    gather(made, RAW, 12, 3, again)
    return made if again == told else None


def _mode1(unit: bytes) -> bytearray:
    frame = bytearray(_SYNC + unit[:3] + b"\1" + unit[3:])
    frame += edc(frame).to_bytes(4, "little") + bytes(RAW - 4 - len(frame))
    ecc(frame, 1)
    return frame


def _form1(unit: bytes) -> bytearray:
    body = unit[:4] + unit
    frame = bytearray(bytes(16) + body + edc(body).to_bytes(4, "little"))
    frame += bytes(RAW - len(frame))
    ecc(frame, 2)
    return frame[16:]


def _form2(unit: bytes) -> bytes:
    body = unit[:4] + unit
    return body + edc(body).to_bytes(4, "little")


class Pass:
    """The EDC of what was read from the beginning on: `value` of the first `done` bytes.

    Stretches that come before their turn wait; reads here and there are no pass.
    """

    def __init__(self) -> None:
        self.done, self.value = 0, 0
        self._waiting: dict[int, tuple[int, int]] = {}

    def add(self, at: int, part: memoryview) -> None:
        """Tell what was read at `at`."""
        if at == 0:
            self.done, self.value = 0, 0
        if at == self.done:
            self.done, self.value = at + len(part), edc(part, self.value)
        elif at > self.done and len(self._waiting) < _AHEAD:
            self._waiting[at] = (len(part), edc(part))
        while self.done in self._waiting:
            length, value = self._waiting.pop(self.done)
            self.done, self.value = self.done + length, moved(self.value, length) ^ value


def moved(value: int, length: int) -> int:
    """What an EDC becomes over `length` zeros.

    The code is linear: that of two stretches together is this of the first, and the second's own.
    """
    return _times(_zeros(length), value)


def _times(rows: tuple[int, ...], value: int) -> int:
    """A matrix of bits, given by what becomes of each, times a value."""
    product = 0
    for bit, row in enumerate(rows):
        if value >> bit & 1:
            product ^= row
    return product


@lru_cache(maxsize=64)
def _zeros(length: int) -> tuple[int, ...]:
    """What becomes of each bit of an EDC over so many zeros."""
    rows = tuple(1 << bit for bit in range(32))
    step = tuple(edc(b"\0", 1 << bit) for bit in range(32))
    while length:
        if length & 1:
            rows = tuple(_times(step, row) for row in rows)
        step = tuple(_times(step, row) for row in step)
        length >>= 1
    return rows
