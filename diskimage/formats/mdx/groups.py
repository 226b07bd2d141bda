"""Frames compressed in groups: where each group's bytes are, and the same deciphered.

A table holds 16 bits a group: 0 for a group stored as it is, bit 15 for one byte repeated (the low
eight bits), else the length of its raw deflate stream. Groups lie one behind the other.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from itertools import accumulate

from diskimage.codecs import deflate
from diskimage.codecs.aes import BLOCK
from diskimage.codecs.lrw import Lrw
from diskimage.errors import CorruptError, LimitError
from diskimage.layers.chunks import KEPT, PAGE, PLAIN, ZERO, ChunkDevice, Columns
from diskimage.layers.table import words, written
from diskimage.limits import Limits
from diskimage.model import Encoder, Source
from diskimage.parse import demand, read

FILL = 0x8000
LONGEST = FILL - 1  # bytes of a group's deflate stream
_SLACK = 4096  # bytes read beyond what an incompressible table would take


class Groups:
    """The `frames` frames of `pitch` bytes that are stored from `at` of `part`, `group` in each."""

    def __init__(
        self, part: Source, at: int, table_at: int, frames: int, pitch: int, group: int,
        limits: Limits,
    ) -> None:  # fmt: skip
        self.part, self.at, self.size = part, at, frames * pitch
        self.chunk = min(group * pitch, max(1, self.size))
        self.group, self.pitch = group, pitch
        if self.chunk > limits.chunk or self.size > limits.guest_size:
            raise LimitError(f"groups of {self.chunk} bytes of {self.size} are above the limits"
                             " chunk and guest_size", file=part.name)  # fmt: skip
        count = -(-self.size // self.chunk)
        if 2 * count > limits.table_resident:
            raise LimitError(f"a table of {count} groups is above the limit table_resident",
                             file=part.name)  # fmt: skip
        self.table = _table(part, table_at, count)

    def device(self, data: Source) -> ChunkDevice:
        """The frames, decoded from the groups as they stand in `data`: the part, or `Clear`."""
        return ChunkDevice(
            size=self.size, chunk=self.chunk, data=data, page=self.page,
            codecs=(_DEFLATE, *map(Fill, self._fills)), most=self.chunk, info={},
        )  # fmt: skip

    def page(self, number: int) -> Columns:
        """Where the groups of a page are."""
        entries = self.table[number * PAGE : (number + 1) * PAGE]
        stored = self._stored(entries)
        if entries[-1] == 0 and (number + 1) * PAGE >= len(self.table):
            stored[-1] = self.size - (len(self.table) - 1) * self.chunk
        at = array("q", accumulate(stored, initial=self._starts[number]))
        if self._fills:  # a chunk has a byte at least; of a fill it is not looked at
            stored = array("q", [n or 1 for n in stored])
        return Columns(at[:-1], stored, bytes(map(self._code, entries)))

    def holding(self, at: int) -> tuple[int, int, int]:
        """The group that the byte `at` of the part is in: its number, start and stop."""
        number = max(0, bisect_right(self._starts, at) - 1)
        columns = self._kept(number)
        row = max(0, bisect_right(columns.at, at) - 1)
        return number * PAGE + row, columns.at[row], columns.at[row] + columns.stored[row]

    def _stored(self, entries: array[int]) -> array[int]:
        """Stored bytes by group."""
        return array("q", [n if 0 < n < FILL else 0 if n else self.chunk for n in entries])

    def _code(self, entry: int) -> int:
        if entry < FILL:
            return 0 if entry else PLAIN
        return 1 + self._fills.index(entry & 0xFF) if entry & 0xFF else ZERO

    @cached_property
    def _kept(self) -> Callable[[int], Columns]:
        """Pages once more: `Clear` asks for a group at a time."""
        return lru_cache(KEPT)(self.page)

    @cached_property
    def _starts(self) -> list[int]:
        """Where the groups of each page begin."""
        sums = (
            sum(self._stored(self.table[first : first + PAGE]))
            for first in range(0, len(self.table) - PAGE, PAGE)
        )
        return list(accumulate(sums, initial=self.at))

    @cached_property
    def _fills(self) -> tuple[int, ...]:
        """The bytes that fill groups, but for zero. CorruptError where no disc has so many."""
        found = sorted({entry & 0xFF for entry in set(self.table) if entry & FILL} - {0})
        if len(found) + 1 >= PLAIN:
            raise CorruptError(f"groups of {len(found)} repeated bytes", file=self.part.name)
        return tuple(found)


def _table(part: Source, at: int, count: int) -> array[int]:
    """The entries: a zlib stream whose length is not told. CorruptError, TruncatedError."""
    demand(part, at, 1, "the table of groups")
    coded = read(part, at, min(2 * count + _SLACK, part.size - at), "the table of groups")
    try:
        plain = zlib.decompressobj().decompress(coded, 2 * count + 1)
    except zlib.error as error:
        reason = str(error).rpartition(": ")[2]
        raise CorruptError(f"the table of groups does not decode: {reason}",
                           file=part.name, at=at) from None  # fmt: skip
    if len(plain) != 2 * count:
        raise CorruptError(f"the table has {len(plain)} bytes for {count} groups of 2",
                           file=part.name, at=at)  # fmt: skip
    return words(plain, "H")


def table_bytes(entries: array[int]) -> bytes:
    """A table as it is stored."""
    return zlib.compress(written(entries), 9)


class Fill:
    """A codec of chunks that are one byte repeated, whatever is stored. `name` is "fill"."""

    name = "fill"

    def __init__(self, byte: int) -> None:
        self._byte = bytes([byte])

    def decode(self, coded: memoryview, want: int) -> bytes:  # noqa: ARG002 - the byte is known
        """`want` of them."""
        return self._byte * want

class Short:
    """Raw deflate whose streams have a length that the table can say. `name` is "deflate"."""

    name = "deflate"

    def __init__(self) -> None:
        self._inner: Encoder = deflate()

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes. CorruptError."""
        return self._inner.decode(coded, want)

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk as one stream; None where it would not be smaller, or is too long."""
        made = self._inner.encode(plain)
        return made if made is not None and len(made) <= LONGEST else None


_DEFLATE = Short()


class Cipher:
    """LRW over frames of `pitch` bytes: each begins at the block number that its place gives it."""

    def __init__(self, lrw: Lrw, pitch: int) -> None:
        self._lrw, self._pitch, self._blocks = lrw, pitch, pitch // BLOCK

    def number(self, frame: int) -> int:
        """The block that the frame begins with."""
        return 1 + frame * self._blocks

    def decrypt(self, frame: int, data: bytearray) -> bytes | bytearray:
        """Whole frames from `frame` on, deciphered."""
        return self._turned(frame, data, self._lrw.decrypt)

    def encrypt(self, frame: int, data: bytearray) -> bytes | bytearray:
        """Whole frames from `frame` on, enciphered."""
        return self._turned(frame, data, self._lrw.encrypt)

    def encrypt_group(self, frame: int, data: bytes | memoryview) -> bytes:
        """A stored group that begins with `frame`, enciphered."""
        return bytes(self._lrw.encrypt(self.number(frame), data))

    def decrypt_group(self, frame: int, skip: int, data: bytes | bytearray) -> bytearray:
        """The part of such a group from its block `skip` on, deciphered."""
        return self._lrw.decrypt(self.number(frame) + skip, data)

    def _turned(
        self, frame: int, data: bytearray, turn: Callable[[int, memoryview], bytearray]
    ) -> bytes | bytearray:
        """All at once where a frame is whole blocks; else frame by frame, each with a clear end."""
        pitch, view = self._pitch, memoryview(data)
        if pitch % BLOCK == 0:
            return turn(self.number(frame), view)
        count = len(data) // pitch
        return b"".join(
            turn(self.number(frame + i), view[i * pitch : (i + 1) * pitch]) for i in range(count)
        )


class Clear:
    """The part of `groups` as a source, their stored bytes deciphered where they stand."""

    fd: int | None = None

    def __init__(self, groups: Groups, cipher: Cipher) -> None:
        self._groups, self._cipher = groups, cipher
        self.name, self.size = groups.part.name, groups.part.size

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`, which is inside the groups; fewer bytes only at the end."""
        done, stop = 0, min(at + len(buffer), self.size)
        while at + done < stop:
            begin = at + done
            number, start, close = self._groups.holding(begin)
            end = min(max(close, begin + 1), stop)
            low = begin - (begin - start) % BLOCK
            high = max(end, min(close, end + (start - end) % BLOCK, self.size))
            raw = read(self._groups.part, low, high - low, "a group")
            clear = self._cipher.decrypt_group(
                number * self._groups.group, (low - start) // BLOCK, raw
            )
            buffer[done : done + end - begin] = clear[begin - low : end - low]
            done += end - begin
        return done

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of it is stored."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """The part is the gate's."""
