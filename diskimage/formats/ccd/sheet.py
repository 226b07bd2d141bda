"""The text of a CloneCD sheet as frozen values: every number checked, every section told once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from diskimage.disc.address import LONGEST, PREGAP, disc_time, frames
from diskimage.disc.cdtext import MOST, PACK, sealed
from diskimage.errors import CorruptError, DiskImageError, LimitError
from diskimage.limits import Limits
from diskimage.model import TocRow

MARK = b"[CloneCD]"
FIRST, LAST, LEAD_OUT = 0xA0, 0xA1, 0xA2  # points of a session, by their meaning
MODES = 3  # 0 audio, 1 and 2
_POSITION = 1  # ADR of a row that places a track
_BARE = PACK - 2  # bytes of a pack as [CDText] has it
_NUMBER = re.compile(r"(-?[0-9]{1,10}|0[xX][0-9a-fA-F]{1,8})$")
_TIMES = (("AMin", "ASec", "AFrame"), ("PMin", "PSec", "PFrame"))


class Point(NamedTuple):
    """A row of the table of contents, and the LBA that it points to (of a track or lead-out)."""

    row: TocRow
    lba: int


@dataclass(frozen=True, slots=True)
class Told:
    """A [TRACK n] section: its mode (0 audio, 1, 2), and indexes that count from anywhere."""

    mode: int | None = None
    indexes: Mapping[int, int] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    isrc: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole sheet; `odd` are the survivable faults as (kind, what)."""

    version: str
    scrambled: bool
    points: tuple[Point, ...]
    tracks: Mapping[int, Told]
    catalog: str | None
    packs: bytes | None
    odd: tuple[tuple[str, str], ...]

    def leadout(self, session: int) -> int:
        """Where a session's lead-out begins."""
        return next(p.lba for p in self.points if p.row[0] == session and p.row.point == LEAD_OUT)

    def kind(self, session: int) -> int:
        """The disc type that a session's first point tells: 0, 0x10 CD-i, 0x20 CD-ROM XA."""
        found = (p.row for p in self.points if p.row[0] == session and p.row.point == FIRST)
        return next((row.pointed[1] for row in found), 0)

    def placed(self) -> list[Point]:
        """The rows of tracks, by session and number."""
        rows = [p for p in self.points if 1 <= p.row.point <= 99 and p.row.adr == _POSITION]
        return sorted(rows, key=lambda p: (p.row.session, p.row.point))


@dataclass(slots=True)
class _Section:
    """The keys of one section, lower case, with the line of each."""

    file: str
    name: str
    line: int
    keys: dict[str, tuple[str, int]] = field(default_factory=dict)

    def corrupt(self, line: int, what: str, remedy: str) -> DiskImageError:
        return CorruptError(f"line {line}: {what}", file=self.file, remedy=remedy)

    def text(self, key: str) -> str | None:
        """The value of a key, None where it is not there or empty."""
        return self.keys.get(key.lower(), ("", 0))[0] or None

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """The number of a key, decimal or with 0x, from `low` to `high`."""
        value, line = self.keys.get(key.lower(), ("", self.line))
        if not value and default is not None:
            return default
        found = int(value, 0 if value[:2] in ("0x", "0X") else 10) if _NUMBER.match(value) else None
        if found is None or not low <= found <= high:
            what = f"[{self.name}] {key} is {value[:32]!r}" if value else f"[{self.name}] no {key}"
            raise self.corrupt(line, what, f"a number from {low} to {high}")
        return found


def parse(data: bytes, file: str, limits: Limits) -> Sheet:
    """The sheet in `data`. Raises CorruptError and LimitError, which name the line."""
    odd: list[tuple[str, str]] = []
    sections = {one.name.lower(): one for one in _sections(data, file, limits, odd)}
    disc = sections.get("disc")
    if disc is None:
        raise CorruptError("there is no section [Disc]", file=file, remedy="is the sheet whole?")
    points = tuple(_points(sections, disc))
    _hold_sessions(points, disc)
    tracks = {p.row.point for p in points}
    told = {n: _told(one) for n in range(1, 100) if (one := sections.get(f"track {n}"))}
    odd += [("sheet", f"[TRACK {n}] is of no track") for n in told if n not in tracks]
    return Sheet(
        version=(sections["clonecd"].text("Version") or "?") if "clonecd" in sections else "?",
        scrambled=bool(disc.number("DataTracksScrambled", 0, 1, 0)),
        points=points,
        tracks=told,
        catalog=_catalog(disc, odd),
        packs=_packs(sections.get("cdtext"), odd),
        odd=tuple(odd),
    )


def _sections(
    data: bytes, file: str, limits: Limits, odd: list[tuple[str, str]]
) -> Iterator[_Section]:
    """The sections in order; no name and no key is there twice, as readers differ in which holds.

    Raises CorruptError, LimitError.
    """
    current: _Section | None = None
    seen: set[str] = set()
    text = data.decode("utf-8-sig", "replace")
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if len(raw) > limits.text_line:
            what = f"line {number}: longer than the limit text_line of {limits.text_line}"
            raise LimitError(what, file=file, remedy="is it a sheet?")
        line = raw.strip(" \t\0\x1a")  # DOS ends a text with 0x1A
        if line.startswith("[") and line.endswith("]"):
            if current is not None:
                yield current
            current = _Section(file, " ".join(line[1:-1].split()), number)
            if current.name.lower() in seen:
                raise current.corrupt(number, f"[{current.name[:32]}] again", "delete one of them")
            seen.add(current.name.lower())
        elif line and not line.startswith(";"):
            _key(current, line, number, file, odd)
    if current is not None:
        yield current


def _key(
    section: _Section | None, line: str, number: int, file: str, odd: list[tuple[str, str]]
) -> None:
    """A line `key = value` of a section."""
    name, equals, value = line.partition("=")
    key = " ".join(name.lower().split())
    if section is None or not equals or not key:
        if section is None and equals:
            what = f"line {number}: a key before any section"
            raise CorruptError(what, file=file, remedy="is the sheet whole?")
        odd.append(("sheet", f"line {number}: {line[:32]!r} is ignored"))
        return
    if key in section.keys:
        raise section.corrupt(number, f"{key[:32]!r} again", "delete one of the two lines")
    section.keys[key] = (value.strip(), number)


def _points(sections: Mapping[str, _Section], disc: _Section) -> Iterator[Point]:
    """The rows of the table of contents, as many as [Disc] says."""
    count = disc.number("TocEntries", 1, 9999)
    sessions = disc.number("Sessions", 1, 99)
    there = sum(name.startswith("entry ") for name in sections)
    if there != count:
        what = f"TocEntries is {count}, and there are {there} sections [Entry n]"
        raise disc.corrupt(disc.line, what, "the sheet was cut or edited")
    for number in range(count):
        section = sections.get(f"entry {number}")
        if section is None:
            raise disc.corrupt(disc.line, f"no [Entry {number}]", "the sheet was cut or edited")
        yield _point(section, sessions)


def _point(section: _Section, sessions: int) -> Point:
    point = section.number("Point", 1, 0xFF)
    asked, pointed = (tuple(section.number(key, 0, 255, 0) for key in keys) for keys in _TIMES)
    row = TocRow(
        section.number("Session", 1, sessions),
        section.number("ADR", 0, 15, _POSITION),
        section.number("Control", 0, 15),
        point,
        (asked[0], asked[1], asked[2]),
        (pointed[0], pointed[1], pointed[2]),
    )
    if row.adr == _POSITION and (point <= 99 or point == LEAD_OUT):
        return Point(row, _place(section, row))
    return Point(row, 0)


def _place(section: _Section, row: TocRow) -> int:
    """The LBA of a track or lead-out. Both ways of telling it have to agree."""
    timed = section.text("PMin") is not None
    told = frames(*row.pointed) - PREGAP if timed else None
    if section.text("PLBA") is None and told is not None:
        return told
    at = section.number("PLBA", -PREGAP, LONGEST)
    if timed and disc_time(at) != row.pointed:
        what = f"[{section.name}] PLBA is {at}, PMin:PSec:PFrame is LBA {told}"
        raise section.corrupt(section.line, what, "mend the one that is wrong")
    return at


def _hold_sessions(points: tuple[Point, ...], disc: _Section) -> None:
    """Every session has a lead-out and tracks, and no track is there twice."""
    numbers = [p.row.point for p in points if p.row.point <= 99 and p.row.adr == _POSITION]
    twice = next((n for n in numbers if numbers.count(n) > 1), None)
    if twice is not None:
        what = f"two entries place track {twice}"
        raise disc.corrupt(disc.line, what, "delete one of them")
    for session in range(1, disc.number("Sessions", 1, 99) + 1):
        own = [p.row.point for p in points if p.row.session == session]
        if own.count(LEAD_OUT) != 1 or not any(point in numbers for point in own):
            what = f"session {session} of {disc.text('Sessions')} has no track, or no lead-out"
            raise disc.corrupt(disc.line, what, "the sheet was cut or edited")


def _told(section: _Section) -> Told:
    indexes = {
        number: section.number(f"INDEX {number}", -LONGEST, LONGEST)
        for number in range(100)
        if section.text(f"INDEX {number}") is not None
    }
    marks = list(indexes.values())
    if marks != sorted(marks):
        raise section.corrupt(
            section.line, f"the indexes of [{section.name}] go back", "put them in order"
        )
    mode = section.number("MODE", 0, MODES - 1) if section.text("MODE") else None
    flags = frozenset((section.text("FLAGS") or "").upper().split())
    return Told(mode, indexes, flags & {"DCP", "4CH", "PRE", "SCMS"}, section.text("ISRC"))


def _catalog(disc: _Section, odd: list[tuple[str, str]]) -> str | None:
    code = disc.text("CATALOG")
    if code is not None and not re.fullmatch(r"[0-9]{13}", code):
        odd.append(("sheet", f"CATALOG {code[:32]!r} has not 13 digits"))
    return None if code is None else code[:64]


def _packs(section: _Section | None, odd: list[tuple[str, str]]) -> bytes | None:
    """CD-TEXT, with the checksums that the sheet leaves out. Its faults are not the frames'."""
    if section is None:
        return None
    count = len(section.keys) - ("entries" in section.keys)
    rows = [_pack(section.text(f"Entry {number}")) for number in range(count)]
    if section.number("Entries", 0, 9999, count) != count or None in rows or count > MOST // PACK:
        odd.append(("cdtext", "[CDText] does not hold the packs that it counts"))
        return None
    return sealed(b"".join(row for row in rows if row)) or None


def _pack(text: str | None) -> bytes | None:
    try:
        row = bytes.fromhex(text or "")
    except ValueError:
        return None
    return row if len(row) == _BARE else None
