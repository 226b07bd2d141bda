"""The file around the descriptor, and the descriptor's fields as frozen values."""

from __future__ import annotations

import struct as binary
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from construct import (
    Array,
    Bytes,
    Const,
    Int8ul,
    Int16ul,
    Int32ul,
    Int64sl,
    Int64ul,
    Padding,
    Struct,
)

from diskimage.codecs.aes import BLOCK
from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.formats.mdx.keys import HEADER, SALT, decipher, open_main
from diskimage.limits import Limits
from diskimage.model import Source, TocRow
from diskimage.parse import read, struct
from diskimage.sources.memory import MemorySource

SIGNATURE = b"MEDIA DESCRIPTOR"
PREFIX = 18  # bytes that the descriptor shares with the file
INSIDE = 0xFFFFFFFF  # in place of the encryption header's offset: the data are in this file
DATA_AT = 64  # in an MDX
_MOST = 99  # tracks
_COUNTED = 100  # words of an extra block: the pregap and indexes 1 to 99

FILE = Struct(
    "signature" / Const(SIGNATURE), "major" / Int8ul, "minor" / Int8ul, "copyright" / Bytes(26),
    "header_at" / Int32ul,
)  # fmt: skip
TRAILER = Struct("at" / Int64ul, "length" / Int64ul)
DESCRIPTOR = Struct(
    "prefix" / Bytes(PREFIX), "medium" / Int16ul, "sessions" / Int16ul, "two" / Int16ul,
    Padding(6), "cdtext_size" / Int16ul, Padding(8), "cdtext_at" / Int32ul, Padding(20),
    "structures_at" / Int32ul, Padding(12), "sessions_at" / Int32ul, "dpm_at" / Int32ul,
    "keys_at" / Int32ul, Padding(4),
)  # fmt: skip
SESSION = Struct(
    "start" / Int64sl, "number" / Int16ul, "rows" / Int8ul, "others" / Int8ul, "first" / Int16ul,
    "last" / Int16ul, Padding(4), "rows_at" / Int32ul, "end" / Int64sl,
)  # fmt: skip
ROW = Struct(
    "mode" / Int8ul, "subchannel" / Int8ul, "adr_control" / Int8ul, "tno" / Int8ul,
    "point" / Int8ul, "time" / Array(3, Int8ul), Padding(1), "pointed" / Array(3, Int8ul),
    "extra_at" / Int32ul, "pitch" / Int16ul, "words" / Int8ul, Padding(17), "lba" / Int32ul,
    "at" / Int64ul, "footers" / Int32ul, "footers_at" / Int32ul, "first" / Int64ul,
    "length" / Int64ul, Padding(8),
)  # fmt: skip
FOOTER = Struct(
    "name_at" / Int32ul, "flags" / Int8ul, Padding(7), "group" / Int32ul, "frames" / Int64ul,
    "table" / Int64ul,
)  # fmt: skip
COMPRESSED = 1  # of the footer's flags


class Footer(NamedTuple):
    """`frames` frames of a track in one file: of `name` ("" where it is this one), from the
    track's place in the first, from the beginning in others. Compressed in groups of `group`
    frames, whose lengths stand at `table`, counted from there; not where `group` is 0."""

    name: str
    frames: int
    group: int
    table: int


class Row(NamedTuple):
    """A row of the table of contents. Of tracks: `lengths` of pregap and indexes from 1 on in
    frames, `first` the LBA of the first stored frame, `at` its byte."""

    toc: TocRow
    mode: int
    subchannel: int
    pitch: int
    lba: int
    first: int
    at: int
    lengths: tuple[int, ...]
    footers: tuple[Footer, ...]


class Session(NamedTuple):
    """A session: where it begins and ends, its rows in order."""

    number: int
    start: int
    end: int
    rows: tuple[Row, ...]


class Descriptor(NamedTuple):
    """What the descriptor says. `inside`: the data are in the same file; `keys` is the header of
    the data's encryption, None where they are not encrypted."""

    version: str
    inside: bool
    medium: str
    sessions: tuple[Session, ...]
    cdtext: bytes
    keys: bytes | None
    structures: bool
    dpm: bool


def load(source: Source, limits: Limits) -> Descriptor:
    """The descriptor of the MDX or MDS file `source`, every offset held against it.

    Raises CorruptError, TruncatedError, ChecksumError, LimitError, UnsupportedError.
    """
    head = struct(FILE, source, 0, "MDX header")
    if head.major != 2:
        raise UnsupportedError(f"version {head.major}.{head.minor}", file=source.name, at=16)
    inside = head.header_at == INSIDE
    if inside:
        place = struct(TRAILER, source, FILE.sizeof(), "MDX trailer")
        at, length = place.at, place.length - SALT
    else:
        at, length = FILE.sizeof(), head.header_at - FILE.sizeof()
    if length <= 0 or length % BLOCK:
        raise CorruptError(f"a descriptor of {length} bytes", file=source.name, at=44,
                           remedy="the file is damaged: copy it again")  # fmt: skip
    if length > limits.table_resident:
        raise LimitError(f"a descriptor of {length} bytes is above the limit table_resident",
                         file=source.name)  # fmt: skip
    header = bytes(read(source, at + length, HEADER, "the encryption header"))
    plain = _plain(bytes(read(source, at, length, "the descriptor")), header, source, at, limits)
    prefix = bytes(read(source, 0, PREFIX, "MDX header"))
    whole = MemorySource(prefix + plain, f"{source.name} (descriptor)")
    return _Reader(whole, inside).descriptor(f"{head.major}.{head.minor}")


def _plain(data: bytes, header: bytes, source: Source, at: int, limits: Limits) -> bytes:
    """The descriptor in clear, without its first 18 bytes."""
    keys = open_main(header, source, at + len(data))
    if keys.plain > limits.table_resident:
        raise LimitError(f"a descriptor of {keys.plain} bytes is above the limit table_resident",
                         file=source.name)  # fmt: skip
    try:
        plain = zlib.decompressobj().decompress(decipher(data, keys), keys.plain or 1)
    except zlib.error as error:
        raise CorruptError(f"the descriptor does not decode: {str(error).rpartition(': ')[2]}",
                           file=source.name, at=at) from None  # fmt: skip
    if len(plain) != keys.plain:
        raise CorruptError(f"the descriptor has {len(plain)} of {keys.plain} bytes",
                           file=source.name, at=at)  # fmt: skip
    return plain


class _Reader:
    """A descriptor in clear."""

    def __init__(self, source: MemorySource, inside: bool) -> None:
        self._source, self._inside = source, inside

    def descriptor(self, version: str) -> Descriptor:
        """All of it."""
        head = struct(DESCRIPTOR, self._source, 0, "the descriptor's header")
        if not 1 <= head.sessions <= _MOST:
            raise self._corrupt(f"{head.sessions} sessions", 20)
        keys = self._bytes(head.keys_at, HEADER, "data keys") if head.keys_at else None
        cdtext = self._bytes(head.cdtext_at, head.cdtext_size, "CD-TEXT") if head.cdtext_at else b""
        sessions = tuple(
            self._session(head.sessions_at + i * SESSION.sizeof(), head.medium)
            for i in range(head.sessions)
        )
        return Descriptor(
            version, self._inside, "CD" if head.medium < 3 else "DVD", sessions, cdtext, keys,
            bool(head.structures_at), bool(head.dpm_at),
        )  # fmt: skip

    def _session(self, at: int, medium: int) -> Session:
        found = struct(SESSION, self._source, at, "a session")
        rows = tuple(
            self._row(found.rows_at + i * ROW.sizeof(), found.number, medium)
            for i in range(found.rows)
        )
        return Session(found.number, found.start, found.end, rows)

    def _row(self, at: int, session: int, medium: int) -> Row:
        raw = struct(ROW, self._source, at, "a track row")
        toc = TocRow(
            session, raw.adr_control >> 4, raw.adr_control & 15, raw.point, _time(raw.time),
            _time(raw.pointed),
        )  # fmt: skip
        lengths: tuple[int, ...] = ()
        footers: tuple[Footer, ...] = ()
        if 1 <= raw.point <= _MOST:
            if raw.footers > _MOST or not raw.footers:
                raise self._corrupt(f"track {raw.point} in {raw.footers} files", at + 48)
            lengths = self._lengths(raw) if medium < 3 else (0, raw.length)
            footers = tuple(
                self._footer(raw.footers_at + i * FOOTER.sizeof()) for i in range(raw.footers)
            )
        return Row(
            toc, raw.mode, raw.subchannel >> 3 & 7, raw.pitch, raw.lba, raw.first, raw.at, lengths,
            footers,
        )  # fmt: skip

    def _lengths(self, raw: Any) -> tuple[int, ...]:
        count = min(max(2, raw.words), _COUNTED)
        words = self._bytes(raw.extra_at, 4 * count, f"the lengths of track {raw.point}")
        return binary.unpack(f"<{count}I", words)

    def _footer(self, at: int) -> Footer:
        raw = struct(FOOTER, self._source, at, "a footer")
        compressed = raw.flags & COMPRESSED
        if compressed and not raw.group:
            raise self._corrupt("groups of no frames", at + 12)
        name = "" if self._inside else self._name(raw.name_at)
        return Footer(name, raw.frames, raw.group if compressed else 0, raw.table)

    def _name(self, at: int) -> str:
        """A name in UTF-16 that a zero ends, of at most 260 characters as Windows has them."""
        room = min(520, max(0, self._source.size - at) & ~1)
        raw = self._bytes(at, room, "a file name").decode("utf-16-le", "replace")
        name, end, _ = raw.partition("\0")
        if not name or not end:
            raise self._corrupt("a file name without an end", at)
        return name

    def _bytes(self, at: int, length: int, what: str) -> bytes:
        return bytes(read(self._source, at, length, what))

    def _corrupt(self, what: str, at: int) -> CorruptError:
        return CorruptError(what, file=self._source.name, at=at,
                            remedy="the descriptor is damaged: copy the file again")  # fmt: skip


def _time(values: Any) -> tuple[int, int, int]:
    minute, second, frame = values
    return minute, second, frame


def tracks(session: Session) -> Iterator[Row]:
    """The rows of tracks, in order."""
    return (row for row in session.rows if row.footers)
