"""The text of a cue sheet as frozen values: one command a line, every number checked and bounded.

Grammar: the CDRWIN user's guide, and what writers in the field make of it (blanks, quotes,
encodings, numbers past their bound). Unknown commands are kept as remarks and have no effect.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace

from diskimage.disc.address import frames
from diskimage.disc.modes import MODES
from diskimage.errors import CorruptError, DiskImageError, LimitError
from diskimage.limits import Limits
from diskimage.model import Mode

TYPES = ("BINARY", "MOTOROLA", "WAVE", "AIFF", "MP3", "FLAC")
TEXTS = (
    "TITLE", "PERFORMER", "SONGWRITER", "COMPOSER", "ARRANGER", "MESSAGE", "GENRE", "DISC_ID",
    "UPC_EAN",
)  # fmt: skip
FLAGS = ("DCP", "4CH", "PRE", "SCMS", "DATA")
COMMANDS = ("CATALOG", "CDTEXTFILE", "FILE", "TRACK", "INDEX", "PREGAP", "POSTGAP", "FLAGS", "ISRC")
HIGH_DENSITY = 45000  # LBA where the second area of a GD-ROM begins
_DIGITS = 9  # no number of a sheet has more
_TIME = re.compile(r"(\d+)\s*:\s*(\d+)\s*:\s*(\d+)$")
_NAMED = re.compile(r'^\s*FILE\s+"([^"\r\n]+)"', re.IGNORECASE | re.MULTILINE)
_SESSION = re.compile(r"SESSION\s+(\d+)$", re.IGNORECASE)
_BORDER = re.compile(r"(LEAD-OUT|LEAD-IN|PREGAP)\s+(\S.*)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """A FILE line."""

    name: str
    type: str
    line: int


@dataclass(frozen=True, slots=True)
class Index:
    """An INDEX line: frames from the beginning of the FILE with number `file`."""

    number: int
    at: int
    file: int
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A TRACK line and what follows it. `area` is the LBA where a GD-ROM's second area puts it;
    `borders` the times of REM LEAD-OUT, LEAD-IN and PREGAP before the session it begins."""

    number: int
    mode: Mode
    line: int
    session: int = 1
    indexes: tuple[Index, ...] = ()
    pregap: int = 0
    postgap: int = 0
    flags: frozenset[str] = frozenset()
    isrc: str | None = None
    text: dict[str, str] = field(default_factory=dict)
    area: int | None = None
    borders: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole sheet; `odd` are the survivable faults as (line, what)."""

    files: tuple[Named, ...]
    tracks: tuple[Entry, ...]
    catalog: str | None
    cdtext: Named | None
    text: dict[str, str]
    remarks: tuple[str, ...]
    odd: tuple[tuple[int, str], ...]


def decode(data: bytes, present: Container[str] = ()) -> str:
    """The text of a sheet: by its BOM, as UTF-16 without one, as UTF-8, else as Windows-1252.

    Nothing tells Shift-JIS from that but a FILE whose name, read so, is one of the files `present`.
    """
    for bom, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(bom):
            return data[len(bom) :].decode(name, "replace")
    even, odd = data[:512:2].count(0), data[1:512:2].count(0)
    if max(even, odd) > len(data[:512]) // 3:
        return data.decode("utf-16-be" if even > odd else "utf-16-le", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        japanese = data.decode("cp932", "replace")
        if any(name in present for name in _NAMED.findall(japanese)):
            return japanese
        return data.decode("cp1252", "replace")


def parse(data: bytes, file: str, limits: Limits, present: Container[str] = ()) -> Sheet:
    """The sheet in `data`, beside the files `present`. Raises CorruptError and LimitError, which
    name the line."""
    lines = re.split(r"\r\n|\r|\n", decode(data, present))
    return _Reader(file, limits).read(lines)


class _Reader:
    """A sheet under construction."""

    def __init__(self, file: str, limits: Limits) -> None:
        self._name, self._limits, self._line = file, limits, 0
        self._files: list[Named] = []
        self._tracks: list[Entry] = []
        self._text: dict[str, str] = {}
        self._remarks: list[str] = []
        self._odd: list[tuple[int, str]] = []
        self._catalog: str | None = None
        self._cdtext: Named | None = None
        self._session = 1
        self._area: int | None = None
        self._borders: dict[str, int] = {}
        self._commands: dict[str, Callable[[str], None]] = {
            "FILE": self._file, "TRACK": self._track, "INDEX": self._index,
            "PREGAP": self._pregap, "POSTGAP": self._postgap, "FLAGS": self._flags,
            "ISRC": self._isrc, "CATALOG": self._catalogue, "CDTEXTFILE": self._packs,
            "REM": self._remark,
        }  # fmt: skip

    def read(self, lines: list[str]) -> Sheet:
        for self._line, raw in enumerate(lines, 1):
            line = raw.strip(" \t\f\v\ufeff\x1a")  # DOS ends a text with 0x1A
            if len(line) > self._limits.text_line:
                raise self._limit("line", self._limits.text_line, "characters")
            if line:
                self._command(line)
        for track in self._tracks:
            if all(index.number != 1 for index in track.indexes):
                self._line = track.line
                raise self._corrupt(f"track {track.number} has no INDEX 01", "add it")
        if not self._tracks:
            raise CorruptError("the sheet names no track", file=self._name, remedy="is it whole?")
        return Sheet(
            tuple(self._files), tuple(self._tracks), self._catalog, self._cdtext, self._text,
            tuple(self._remarks), tuple(self._odd),
        )  # fmt: skip

    def _command(self, line: str) -> None:
        word, _, rest = line.replace("\t", " ").partition(" ")
        word, rest = word.upper(), rest.strip()
        if word in self._commands:
            self._commands[word](rest)
        elif word in TEXTS:
            self._describe(word, rest)
        else:
            self._keep(line)
            self._odd.append((self._line, f"unknown command {word[:32]!r} is ignored"))

    def _corrupt(self, what: str, remedy: str) -> DiskImageError:
        return CorruptError(f"line {self._line}: {what}", file=self._name, remedy=remedy)

    def _limit(self, what: str, bound: int, unit: str) -> DiskImageError:
        return LimitError(
            f"line {self._line}: {what} above the limit of {bound} {unit}",
            file=self._name,
            remedy="no disc needs so much; raise the limit if you trust the sheet",
        )

    def _count(self, have: int, what: str) -> None:
        if have >= self._limits.text_entries:
            raise self._limit(f"{what} lines", self._limits.text_entries, "entries")

    def _integer(self, digits: str, what: str, low: int, high: int) -> int:
        plain = digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS
        value = int(digits) if plain else -1
        if not low <= value <= high:
            raise self._corrupt(f"{what} {digits[:32]!r}", f"a number from {low} to {high}")
        return value

    def _time(self, text: str) -> int:
        match = _TIME.match(text)
        if match is None or max(map(len, match.groups())) > _DIGITS:
            raise self._corrupt(f"{text[:32]!r} is no time", "write minutes:seconds:frames")
        minute, second, frame = (int(group) for group in match.groups())
        if second > 59 or frame > 74:
            self._odd.append((self._line, f"{text} counts past its field and is carried over"))
        if minute > 999999:
            raise self._corrupt(f"{text[:32]!r} is no time", "no disc lasts so long")
        return frames(minute, second, frame)

    def _quoted(self, text: str) -> tuple[str, str]:
        """The value that begins `text`, and what follows it."""
        if not text.startswith('"'):
            return text, ""
        close = text.rfind('"')
        if close == 0:
            raise self._corrupt("a quotation mark is not closed", "close it on the same line")
        return text[1:close], text[close + 1 :].strip()

    def _current(self, command: str) -> Entry:
        if not self._tracks:
            raise self._corrupt(f"{command} before any TRACK", "put it under its track")
        return self._tracks[-1]

    def _change(self, **fields: object) -> None:
        self._tracks[-1] = replace(self._tracks[-1], **fields)  # type: ignore[arg-type]  # checked by name at each call

    def _keep(self, line: str) -> None:
        self._count(len(self._remarks), "remark")
        self._remarks.append(line)

    def _file(self, rest: str) -> None:
        self._count(len(self._files), "FILE")
        if rest.startswith('"'):
            name, kind = self._quoted(rest)
        else:
            name, _, kind = rest.rpartition(" ")
            if kind.upper() not in TYPES or not name:
                name, kind = rest, ""
        kind = kind.upper()
        if not kind:
            kind = "BINARY"
            self._odd.append((self._line, "FILE without a type is taken as BINARY"))
        if kind not in TYPES:
            raise self._corrupt(f"FILE type {kind[:32]!r}", f"one of {', '.join(TYPES)}")
        if not name.strip():
            raise self._corrupt("FILE without a name", "name the file")
        self._files.append(Named(name.strip(), kind, self._line))

    def _track(self, rest: str) -> None:
        digits, _, mode = rest.partition(" ")
        number = self._integer(digits, "track number", 1, 99)
        if not self._files:
            raise self._corrupt("TRACK before any FILE", "put the FILE line first")
        if self._tracks and number != self._tracks[-1].number + 1:
            last = self._tracks[-1].number
            raise self._corrupt(f"track {number} after track {last}", f"number it {last + 1}")
        found = MODES.get(mode.strip().upper())
        if found is None:
            raise self._corrupt(f"track mode {mode.strip()[:32]!r}", f"one of {', '.join(MODES)}")
        self._tracks.append(
            Entry(number, found, self._line, self._session, area=self._area, borders=self._borders)
        )
        self._area, self._borders = None, {}

    def _index(self, rest: str) -> None:
        track = self._current("INDEX")
        digits, _, time = rest.partition(" ")
        number = self._integer(digits, "INDEX number", 0, 99)
        last = track.indexes[-1].number if track.indexes else None
        if (last is None and number > 1) or (last is not None and number <= last):
            what = f"INDEX {number:02} out of order in track {track.number}"
            raise self._corrupt(what, "begin with 00 or 01, then rise")
        index = Index(number, self._time(time.strip()), len(self._files) - 1, self._line)
        self._change(indexes=(*track.indexes, index))

    def _pregap(self, rest: str) -> None:
        self._current("PREGAP")
        self._change(pregap=self._time(rest))

    def _postgap(self, rest: str) -> None:
        self._current("POSTGAP")
        self._change(postgap=self._time(rest))

    def _flags(self, rest: str) -> None:
        track = self._current("FLAGS")
        words = rest.upper().split()
        unknown = [word for word in words if word not in FLAGS]
        if unknown:
            self._odd.append((self._line, f"unknown flag {unknown[0][:32]!r} is ignored"))
        known = frozenset(words) & frozenset(FLAGS) - {"DATA"}  # the mode says that it is data
        self._change(flags=track.flags | known)

    def _isrc(self, rest: str) -> None:
        self._current("ISRC")
        code = self._quoted(rest)[0].strip()
        if not re.fullmatch(r"[A-Za-z0-9]{12}", code.replace("-", "")):
            self._odd.append((self._line, f"ISRC {code[:32]!r} has not 12 letters and digits"))
        self._change(isrc=code[:64] or None)

    def _catalogue(self, rest: str) -> None:
        code = self._quoted(rest)[0].strip()
        if not code:
            raise self._corrupt("CATALOG without a number", "13 digits, or no CATALOG line")
        if not re.fullmatch(r"[0-9]{13}", code):
            self._odd.append((self._line, f"CATALOG {code[:32]!r} has not 13 digits"))
        self._catalog = code[:64]

    def _packs(self, rest: str) -> None:
        name = self._quoted(rest)[0].strip()
        if not name:
            raise self._corrupt("CDTEXTFILE without a name", "name the file")
        self._cdtext = Named(name, "CDTEXT", self._line)

    def _describe(self, word: str, rest: str) -> None:
        text = self._tracks[-1].text if self._tracks else self._text
        text[word] = self._quoted(rest)[0]

    def _remark(self, rest: str) -> None:
        self._keep(f"REM {rest}")
        words = " ".join(rest.upper().split())
        if match := _SESSION.match(rest):
            number = self._integer(match[1], "session number", 1, 99)
            if self._tracks and number not in (self._session, self._session + 1):
                what = f"session {number} after session {self._session}"
                raise self._corrupt(what, "count up by 1")
            self._session = number
        elif words == "HIGH-DENSITY AREA":
            self._area = HIGH_DENSITY
        elif (match := _BORDER.match(rest)) and _TIME.match(match[2].strip()):
            self._borders[match[1].upper()] = self._time(match[2].strip())
