"""The descriptor of a disc: header, sessions, rows, data files, as values held against the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from construct import Const, Int8ul, Int16ul, Int32ul, Padding, Struct as Fields

from diskimage.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
from diskimage.limits import KIB, Limits
from diskimage.model import Source, TocRow
from diskimage.parse import read, struct

SIGNATURE = b"MEDIA DESCRIPTOR"
HEADER = Fields(
    "signature" / Const(SIGNATURE), "major" / Int8ul, "minor" / Int8ul, "medium" / Int16ul,
    "sessions" / Int16ul, "two" / Int16ul, Padding(2), "bca_length" / Int16ul, Padding(8),
    "bca_at" / Int32ul, Padding(24), "structures_at" / Int32ul, Padding(12),
    "sessions_at" / Int32ul, "dpm_at" / Int32ul,
)  # fmt: skip
SESSION = Struct("<iiHBBHHII")
ROW = Struct("<12BIHB17xIQII24x")
EXTRA = Struct("<II")
FOOTER = Struct("<II8x")

MEDIA = {0: "CD-ROM", 1: "CD-R", 2: "CD-RW", 0x10: "DVD-ROM", 0x12: "DVD-R"}
DVD_ROM = 0x10  # this and all above it are DVDs
TRACKS = range(1, 100)  # POINT of a row that is a track
OTHERS = range(0xA0, 0xD0)  # A0 first track, A1 last track, A2 lead-out, B0, C0: further sessions
LEADOUT = 0xA2
SUBCHANNEL = 8  # 96 bytes behind each frame, interleaved
WITH_SUB = 2448  # bytes of a whole frame with them
NAME = 4 * KIB  # bytes of a file's name: PATH_MAX


class Row(NamedTuple):
    """A row of 80 bytes: of the lead-in's table of contents, and where its track is stored.

    `start` is the LBA of index 1, `at` a byte of the first data file, `size` of one frame there.
    """

    mode: int
    subchannel: int
    control: int  # ADR in the upper half
    number: int  # TNO
    point: int
    time: tuple[int, int, int]
    pointed: tuple[int, int, int]
    extra_at: int
    size: int
    start: int
    at: int
    files: int
    footer_at: int

    @property
    def subbed(self) -> bool:
        """Whether 96 bytes of subchannel are in each frame, told or not."""
        return self.subchannel == SUBCHANNEL or self.size == WITH_SUB


class Entry(NamedTuple):
    """A track: its row, its session, and what its extra block says, in frames from index 1 on."""

    row: Row
    session: int
    pregap: int
    length: int

    @property
    def number(self) -> int:
        """The track's number."""
        return self.row.point

    @property
    def stop(self) -> int:
        """The LBA after its last frame."""
        return self.row.start + self.length


class Descriptor(NamedTuple):
    """What the file says; `toc` without rows for a DVD."""

    version: str
    medium: int
    sessions: int
    entries: tuple[Entry, ...]
    toc: tuple[TocRow, ...]
    structures_at: int
    bca: tuple[int, int]  # offset and length
    dpm_at: int

    @property
    def dvd(self) -> bool:
        """Whether the disc is one."""
        return self.medium >= DVD_ROM


def load(source: Source, limits: Limits) -> Descriptor:
    """The descriptor in `source`.

    Raises CorruptError, TruncatedError where something lies past the end, LimitError, and
    UnsupportedError for another version.
    """
    header = struct(HEADER, source, 0, "MDS header")
    if header.major != 1:
        raise UnsupportedError(f"MDS version {header.major}", file=source.name, at=16)
    if header.sessions - 1 not in range(len(TRACKS)):
        raise CorruptError(f"{header.sessions} sessions", file=source.name, at=20)
    dvd = header.medium >= DVD_ROM
    table = read(source, header.sessions_at, SESSION.size * header.sessions, "the sessions")
    entries: list[Entry] = []
    toc: list[TocRow] = []
    for i in range(header.sessions):
        session, rows = _session(table, i, source, header.sessions_at)
        toc += _toc(rows, session)
        tracks = [row for row in rows if row.point in TRACKS]
        if not tracks:
            raise CorruptError(f"session {session} has no track", file=source.name)
        entries += [_entry(row, session, source, dvd=dvd) for row in tracks]
        _hold(entries, source, limits)
    return Descriptor(
        f"{header.major}.{header.minor}", header.medium, header.sessions, tuple(entries),
        () if dvd else tuple(toc), header.structures_at, (header.bca_at, header.bca_length),
        header.dpm_at,
    )  # fmt: skip


def _session(table: bytearray, i: int, source: Source, at: int) -> tuple[int, list[Row]]:
    """The number and the rows of the `i`-th session."""
    fields = SESSION.unpack_from(table, i * SESSION.size)
    number, count, rows_at = fields[2], fields[3], fields[8]
    if number != i + 1:
        text = f"session {number} where session {i + 1} should be"
        raise CorruptError(text, file=source.name, at=at + i * SESSION.size + 8)
    content = read(source, rows_at, ROW.size * count, f"the rows of session {number}")
    rows = [_row(values) for values in ROW.iter_unpack(content)]
    for k, row in enumerate(rows):
        if row.point not in TRACKS and row.point not in OTHERS:
            where = rows_at + k * ROW.size + 4
            raise CorruptError(f"a row of point {row.point:#04x}", file=source.name, at=where)
    return number, rows


def _row(values: Sequence[int]) -> Row:
    mode, subchannel, control, number, point, m, s, f, _, pm, ps, pf = values[:12]
    extra_at, size, _, start, at, files, footer_at = values[12:]
    return Row(
        mode, subchannel, control, number, point, (m, s, f), (pm, ps, pf), extra_at, size,
        start, at, files, footer_at,
    )  # fmt: skip


def _toc(rows: Sequence[Row], session: int) -> Iterator[TocRow]:
    for row in rows:
        yield TocRow(session, row.control >> 4, row.control & 15, row.point, row.time, row.pointed)


def _entry(row: Row, session: int, source: Source, *, dvd: bool) -> Entry:
    """A track; of a DVD the length stands where else the place of the extra block does."""
    if dvd:
        return Entry(row, session, 0, row.extra_at)
    what = f"the lengths of track {row.point}"
    return Entry(row, session, *EXTRA.unpack(read(source, row.extra_at, EXTRA.size, what)))


def _hold(entries: Sequence[Entry], source: Source, limits: Limits) -> None:
    """Tracks ascend in number, each with frames of a data file. There are 99 of them at most."""
    numbers = [entry.number for entry in entries]
    if sorted(set(numbers)) != numbers:
        text = f"tracks out of order: {', '.join(map(str, numbers))}"
        raise CorruptError(text, file=source.name)
    for entry in entries:
        if not entry.row.files:
            raise CorruptError(f"track {entry.number} names no data file", file=source.name)
        if entry.row.files > limits.split_parts:
            text = f"track {entry.number} names {entry.row.files} files, over split_parts"
            raise LimitError(f"{text} {limits.split_parts}", file=source.name)


def names(source: Source, at: int, count: int) -> list[str]:
    """The names of `count` data files, as the footers from `at` on tell them."""
    footers = read(source, at, FOOTER.size * count, "the names of data files")
    return [_name(source, where, wide=bool(wide)) for where, wide in FOOTER.iter_unpack(footers)]


def _name(source: Source, at: int, *, wide: bool) -> str:
    """A name up to its NUL: UTF-16, or bytes of a code page, which is not told: 1252 is taken."""
    unit = 2 if wide else 1
    content = bytes(read(source, at, min(NAME, max(0, source.size - at)), "a data file's name"))
    end = next((i for i in range(0, len(content), unit) if not any(content[i : i + unit])), -1)
    if end <= 0:
        what = "an empty name of" if end == 0 else "no end of the name of"
        error = TruncatedError if end < 0 and len(content) < NAME else CorruptError
        raise error(f"{what} a data file", file=source.name, at=at)
    encoding = "utf-16-le" if wide else "cp1252"
    return content[:end].decode(encoding, "replace")
