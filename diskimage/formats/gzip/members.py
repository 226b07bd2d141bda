"""The members of a gzip file (RFC 1952), and a walk through them from any entry."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from diskimage.codecs.crc32 import Crc32
from diskimage.errors import (
    ChecksumError,
    ContentError,
    CorruptError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.kernels.extension import NATIVE
from diskimage.kernels.inflate import (
    END,
    FAR,
    FULL,
    MARGIN,
    MORE,
    WINDOW,
    inflate,
    state,
)
from diskimage.limits import KIB, MIB
from diskimage.model import Source
from diskimage.parse import positions, read

MAGIC = b"\x1f\x8b"
_DEFLATE = 8
_CRC, _EXTRA, _NAME, _COMMENT, _RESERVED = 2, 4, 8, 16, 0xE0
_HEADER = 512  # bytes that nearly every header lies in
_LONGEST = 256 * KIB  # of a header; its extra field has at most 64 KiB
TRAILER = 8
PIECE = MIB
NEVER = 1 << 62
RATIO = 1032  # plain bytes of a coded one, at most
SECTOR = 512  # what a medium loses at least


class Header(NamedTuple):
    """A member's header: where its deflate stream begins, and what it says."""

    end: int
    name: str = ""
    modified: int = 0
    whole: int = 0  # bytes of the whole member, where it says so (BGZF)


def header(source: Source, at: int) -> Header:
    """The header at `at`. Raises CorruptError, UnsupportedError, TruncatedError, ChecksumError."""
    for length in (_HEADER, _LONGEST):
        data = bytes(read(source, at, min(length, source.size - at), "a member"))
        try:
            return _parsed(data, source, at)
        except IndexError:
            if at + len(data) == source.size:
                break
    else:
        raise LimitError(f"a header of more than {_LONGEST} bytes", file=source.name, at=at)
    raise TruncatedError("the file ends in a header", file=source.name, at=source.size)


def _parsed(data: bytes, source: Source, at: int) -> Header:
    """IndexError where `data` is too short."""
    if data[:2] != MAGIC:
        raise CorruptError("no gzip member", file=source.name, at=at)
    method, flags = data[2], data[3]
    if method != _DEFLATE or flags & _RESERVED:
        text = f"a gzip member of method {method}, flags {flags:#x}"
        raise UnsupportedError(text, file=source.name, at=at + 2)
    end, whole, name = 10, 0, b""
    if flags & _EXTRA:
        length = data[10] | data[11] << 8
        end = 12 + length
        whole = _bgzf(data[12:end])
    if flags & _NAME:
        name, end = _text(data, end)
    if flags & _COMMENT:
        _, end = _text(data, end)
    if flags & _CRC:
        told = data[end] | data[end + 1] << 8
        if zlib.crc32(data[:end]) & 0xFFFF != told:
            raise ChecksumError("a header has not its CRC", file=source.name, at=at)
        end += 2
    data[end - 1]
    modified = int.from_bytes(data[4:8], "little")
    return Header(at + end, name.decode("latin-1"), modified, whole)


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    """A text that ends with a zero, and the byte after it."""
    end = data.find(b"\0", at)
    if end < 0:
        raise IndexError
    return data[at:end], end + 1


def _bgzf(extra: bytes) -> int:
    """The length of a member by its subfield BC (the SAM specification, section 4), or 0."""
    at = 0
    while at + 4 <= len(extra):
        length = int.from_bytes(extra[at + 2 : at + 4], "little")
        if extra[at : at + 2] == b"BC" and length == 2 and at + 6 <= len(extra):
            return int.from_bytes(extra[at + 4 : at + 6], "little") + 1
        at += 4 + length
    return 0


def cut(source: Source) -> TruncatedError:
    """The error for a file that ends inside of a member."""
    return TruncatedError("the file ends inside of a member", file=source.name, at=source.size)


class _ByKernel:
    """Deflate by our kernel, which stops at borders of blocks."""

    def __init__(self, source: Source, bit: int, window: bytes) -> None:
        self._source, self._low, self._coded = source, bit >> 3, b""
        self._out = bytearray(WINDOW + PIECE + MARGIN)
        self._view = memoryview(self._out)
        self._out[: len(window)] = window
        self._place = array("q", [0, len(window)])
        self._memory = state()
        self._refill()
        self._place[0] = bit & 7

    @property
    def bit(self) -> int:
        """The bit of the file that comes next."""
        return 8 * self._low + self._place[0]

    def restart(self, at: int) -> None:
        """Go on with a stream that begins at byte `at`."""
        self._memory = state()
        self._place[1] = 0
        if not self._low <= at <= self._low + len(self._coded):
            self._low, self._coded = at, b""
        self._place[0] = 8 * (at - self._low)

    def go(self, most: int) -> tuple[int, memoryview]:
        """Decode until the piece is full, the stream ends, or a block begins after `most` bytes."""
        out, place = self._out, self._place
        if len(out) - place[1] < PIECE:
            keep = min(WINDOW, place[1])
            out[:keep] = out[place[1] - keep : place[1]]
            place[1] = keep
        start = place[1]
        told = MORE
        while told == MORE:
            told = inflate(self._coded, out, 0, min(start + most, NEVER), place, self._memory)
            if told == MORE and not self._refill():
                if place[1] > start:
                    told = FULL  # what there is first
                    break
                raise cut(self._source)
        if told < 0:
            why = "goes back before its beginning" if told == FAR else "is no deflate"
            at = self._low + (place[0] >> 3)
            raise CorruptError(f"a member {why}", file=self._source.name, at=at)
        return told, self._view[start : place[1]]

    def window(self) -> bytes:
        """The last bytes of the stream, as many as a copy may reach."""
        return bytes(self._out[max(0, self._place[1] - WINDOW) : self._place[1]])

    def _refill(self) -> bool:
        """Read on; False at the end of the file."""
        used = self._place[0] >> 3
        left = len(self._coded) - used
        length = min(MIB + left, self._source.size - self._low - used)
        if length <= left:
            return False
        self._low += used
        self._place[0] &= 7
        self._coded = bytes(read(self._source, self._low, length, "a member"))
        return True


class _ByZlib:
    """Deflate by zlib, where no kernel was built: only where a member begins can one begin."""

    def __init__(self, source: Source, bit: int, window: bytes) -> None:
        self._source, self._at, self._coded = source, bit >> 3, b""
        self._decoder = zlib.decompressobj(-15, zdict=window)

    @property
    def bit(self) -> int:
        return 8 * (self._at - len(self._coded))

    def restart(self, at: int) -> None:
        self._at, self._coded = at, b""
        self._decoder = zlib.decompressobj(-15)

    def go(self, most: int) -> tuple[int, memoryview]:  # noqa: ARG002 - it knows no borders
        piece = b""
        while not piece and not self._decoder.eof:
            if not self._coded:
                length = min(MIB, self._source.size - self._at)
                if not length:
                    raise cut(self._source)
                self._coded = bytes(read(self._source, self._at, length, "a member"))
                self._at += length
            try:
                piece = self._decoder.decompress(self._coded, PIECE)
            except zlib.error as error:
                text = f"a member is no deflate: {error}"
                raise CorruptError(text, file=self._source.name, at=self.bit >> 3) from None
            self._coded = self._decoder.unused_data or self._decoder.unconsumed_tail
        return END if self._decoder.eof else FULL, memoryview(piece)

    def window(self) -> bytes:
        return b""


class Walk:
    """The plain bytes from a bit of the file on: from a member's header, where `window` is None, or
    from inside of a member whose last plain bytes were `window`.

    `member` and `begun` tell where the header of the member is, as a byte of the file and of what
    was decoded here; behind a trailer `member` is where the next one would be. `garbage` is where
    bytes follow that are no member, -1 where none do.
    """

    def __init__(self, source: Source, bit: int, window: bytes | None) -> None:
        self._source, self.plain, self.border = source, 0, NEVER
        self._way = (_ByKernel if NATIVE else _ByZlib)(source, bit, window or b"")
        self._crc: Crc32 | None = None
        self.member, self.begun, self.members, self.garbage = bit >> 3, 0, 0, -1
        self._inside = window is not None

    @property
    def bit(self) -> int:
        """The bit of the file that comes next."""
        return self._way.bit if self._inside else 8 * self.member

    @property
    def sum(self) -> int:
        """The CRC-32 of the plain bytes of the last member whose header was passed, up to here."""
        return 0 if self._crc is None else self._crc.value

    def window(self) -> bytes:
        """The last plain bytes of the member."""
        return self._way.window()

    @property
    def inside(self) -> bool:
        """Whether it stands inside of a member, where it stopped."""
        return self._inside

    @property
    def truncated(self) -> bool:
        """Whether no byte of the file is left in front of it."""
        return self._way.bit > 8 * (self._source.size - TRAILER)

    def skip(self, plain: int, member: int) -> None:
        """Go on with the member at byte `member`, before which are `plain` bytes."""
        self.plain = self.begun = plain
        self.member, self._inside = member, False
        self.members, self.garbage = self.members + 1, -1

    def pieces(self) -> Iterator[tuple[memoryview, int]]:
        """(piece, FULL | BORDER | END) to the end of the file; END behind the trailer of a member.

        BORDER where a block begins at or after plain byte `border`. Raises ContentError.
        """
        while self._inside or self._next():
            told, piece = self._way.go(self.border - self.plain)
            if self._crc is not None:
                self._crc.update(piece)
            self.plain += len(piece)
            if told == END:
                self._trailer()
            yield piece, told

    def _next(self) -> bool:
        """Begin the member at `member`; False where there is none any more."""
        source, at = self._source, self.member
        if at >= source.size and self.members:
            return False
        if self.members and bytes(read(source, at, min(2, source.size - at), "a member")) != MAGIC:
            self.garbage = at
            return False
        found = header(source, at)
        self.begun = self.plain
        self._way.restart(found.end)
        self._crc, self._inside = Crc32(), True
        return True

    def _trailer(self) -> None:
        """The CRC-32 and the length of a member, held against what was decoded."""
        source, at = self._source, -(-self._way.bit // 8)
        if at + TRAILER > source.size:
            raise cut(source)
        told = bytes(read(source, at, TRAILER, "a trailer"))
        if self._crc is not None:
            length = (self.plain - self.begun) & 0xFFFFFFFF
            made = self.sum.to_bytes(4, "little") + length.to_bytes(4, "little")
            if made != told:
                which = "CRC" if made[:4] != told[:4] else "length"
                text = f"the member at byte {self.member} has not the {which} that its end tells"
                raise ChecksumError(text, file=source.name, at=at)
        self.member, self._inside = at + TRAILER, False
        self.members += 1


def padding(source: Source, at: int) -> bool:
    """Whether there is nothing but zeros from `at` on, as tapes leave them."""
    for low in range(at, source.size, MIB):
        piece = read(source, low, min(MIB, source.size - low), "padding")
        if piece.count(0) != len(piece):
            return False
    return True


def following(source: Source, member: int, least: int) -> tuple[int, int] | None:
    """Where the member behind the damaged one at byte `member` begins, and the plain bytes of that,
    `least` or more; None where that is not sure.

    A member of BGZF tells its own length. Of others the next one has to be sound, and what is
    before it the end of the damaged one: no run of zeros, which might hide members between.
    """
    try:
        told = header(source, member).whole
    except ContentError:
        told = 0
    if told:
        at = member + told
        begins = at < source.size - TRAILER and bytes(read(source, at, 2, "a member")) == MAGIC
        return (at, _length_before(source, at)) if begins else None
    for at in positions(source, member + 10 + TRAILER, MAGIC + bytes([_DEFLATE])):
        length = _length_before(source, at)
        if least <= length <= RATIO * (at - member) and _sound(source, at):
            hole = next(positions(source, member, bytes(SECTOR)), source.size)
            return None if hole < at else (at, length)
    return None


def _length_before(source: Source, at: int) -> int:
    return int.from_bytes(read(source, at - 4, 4, "a trailer"), "little")


def _sound(source: Source, at: int) -> bool:
    """Whether a member begins at `at` that has its CRC, and behind it is another or nothing."""
    walk = Walk(source, 8 * at, None)
    try:
        if all(told != END for _, told in walk.pieces()):
            return False
    except ContentError:
        return False
    end = walk.member
    return end == source.size or bytes(read(source, end, 2, "a member")[:2]) == MAGIC
