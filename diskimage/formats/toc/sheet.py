"""The text of a table of contents as frozen values: every statement of cdrdao's, each bounded.

Grammar: cdrdao(1), section TOC FILES. What it leaves open (END, what a bare number counts, `#`) was
looked at in what cdrdao 1.2.4 prints of small tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from diskimage.disc.modes import (
    AUDIO,
    MODE1_2048,
    MODE1_2352,
    MODE2_2048,
    MODE2_2324,
    MODE2_2336,
    MODE2_2352,
)
from diskimage.errors import CorruptError, LimitError
from diskimage.formats.toc.words import Cursor, unescaped
from diskimage.limits import Limits
from diskimage.model import Layout, Mode
from diskimage.model.discs import SessionKind

MODES = {
    "AUDIO": AUDIO, "MODE1": MODE1_2048, "MODE1_RAW": MODE1_2352, "MODE2": MODE2_2336,
    "MODE2_FORM1": MODE2_2048, "MODE2_FORM2": MODE2_2324, "MODE2_FORM_MIX": MODE2_2336,
    "MODE2_RAW": MODE2_2352,
}  # fmt: skip
KINDS: dict[str, SessionKind] = {
    "CD_DA": "CDDA", "CD_ROM": "CDROM", "CD_ROM_XA": "CDROM_XA", "CD_I": "CDI",
}  # fmt: skip
LAYOUTS: dict[str, Layout] = {"RW": "rw", "RW_RAW": "interleaved"}
FLAGS = {"COPY": "DCP", "PRE_EMPHASIS": "PRE", "FOUR_CHANNEL_AUDIO": "4CH"}
ITEMS = (
    "TITLE", "PERFORMER", "SONGWRITER", "COMPOSER", "ARRANGER", "MESSAGE", "DISC_ID", "GENRE",
    "TOC_INFO1", "TOC_INFO2", "RESERVED1", "RESERVED2", "RESERVED3", "RESERVED4", "CLOSED",
    "UPC_EAN", "ISRC", "SIZE_INFO",
)  # fmt: skip
SUBCHANNEL = 96  # bytes behind each frame, in both layouts
_SAMPLE = 4  # bytes: 16 bits of two channels
_LANGUAGES = {"EN": 9}
_CHARSETS = re.compile(r"ENCODING_[A-Z0-9_]+$")

Texts = dict[int, dict[str, bytes]]
"""CD-TEXT by language number and item, as bytes: of a text too, whose encoding is told later."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One statement of data: bytes of a file, or zeros where `name` is None.

    `offset` is where the file's data begin, `start` the bytes of it to leave out, `length` what is
    taken (None: all that is left); of zeros, `mode` where the statement says one."""

    line: int
    name: str | None = None
    offset: int = 0
    start: int = 0
    length: int | None = None
    mode: Mode | None = None


class Cut(NamedTuple):
    """A place in a track: `frames` from its beginning, or behind its first `clips` clips."""

    frames: int | None
    clips: int
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A TRACK statement and what follows it. `indexes` count frames from index 1."""

    number: int
    mode: Mode
    line: int
    layout: Layout | None = None
    clips: tuple[Clip, ...] = ()
    start: Cut | None = None
    ends: tuple[Cut, ...] = ()
    indexes: tuple[int, ...] = ()
    flags: frozenset[str] = frozenset()
    isrc: str | None = None
    texts: Texts = field(default_factory=dict)

    @property
    def block(self) -> int:
        """Bytes of a frame in its files."""
        return self.mode.size + (SUBCHANNEL if self.layout else 0)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole table. `languages` are codes of EBU Tech 3264 by number; `odd` survivable faults."""

    tracks: tuple[Entry, ...]
    kind: SessionKind | None
    catalog: str | None
    languages: dict[int, int]
    texts: Texts
    odd: tuple[tuple[int, str], ...]


def parse(data: bytes, file: str, limits: Limits) -> Sheet:
    """The table in `data`. Raises CorruptError and LimitError, which name the line."""
    return _Reader(data, file, limits).read()


class _Reader:
    """A table under construction, one token ahead."""

    def __init__(self, data: bytes, file: str, limits: Limits) -> None:
        self._name, self._limits = file, limits
        self._words, self._clips = Cursor(data, file, limits), 0
        self._tracks: list[Entry] = []
        self._kind: SessionKind | None = None
        self._catalog: str | None = None
        self._languages: dict[int, int] = {}
        self._texts: Texts = {}
        self._odd: list[tuple[int, str]] = []
        self._statements: dict[str, Callable[[str], None]] = {
            "CATALOG": self._catalogue, "CD_TEXT": self._cd_text, "TRACK": self._track,
            "NO": self._no, "ISRC": self._isrc, "TWO_CHANNEL_AUDIO": self._channels,
            "FILE": self._file, "AUDIOFILE": self._file, "DATAFILE": self._datafile,
            "FIFO": self._datafile, "SILENCE": self._zeros, "ZERO": self._zeros,
            "START": self._start, "PREGAP": self._pregap, "END": self._end, "INDEX": self._index,
        } | dict.fromkeys(KINDS, self._session) | dict.fromkeys(FLAGS, self._flag)  # fmt: skip

    def read(self) -> Sheet:
        words = self._words
        while words.next.kind != "end":
            word = words.take("word", "a statement").upper()
            words.line = words.taken.line
            if word not in self._statements:
                raise words.corrupt(f"unknown statement {word[:32]!r}", "see cdrdao(1)")
            self._statements[word](word)
        if not self._tracks:
            raise CorruptError("the table names no track", file=self._name, remedy="is it whole?")
        return Sheet(
            tuple(self._tracks), self._kind, self._catalog, self._languages, self._texts,
            tuple(self._odd),
        )  # fmt: skip

    # header

    def _session(self, word: str) -> None:
        self._kind = KINDS[word]  # of several the last counts

    def _catalogue(self, _word: str) -> None:
        code = self._words.string("the catalogue number")
        if not re.fullmatch(r"[0-9]{13}", code):
            raise self._words.corrupt(
                f"CATALOG {code[:32]!r} has not 13 digits", "mend or remove it"
            )
        self._catalog = code

    # tracks

    def _track(self, _word: str) -> None:
        if len(self._tracks) == 99:
            raise self._words.corrupt("a 100th track", "a disc has at most 99")
        name = self._words.take("word", "a track mode").upper()
        if name not in MODES:
            raise self._words.corrupt(f"track mode {name[:32]!r}", f"one of {', '.join(MODES)}")
        layout = (
            LAYOUTS.get(self._words.next.text.upper()) if self._words.next.kind == "word" else None
        )
        if layout is not None:
            self._words.advance()
        self._tracks.append(Entry(len(self._tracks) + 1, MODES[name], self._words.line, layout))

    def _current(self) -> Entry:
        if not self._tracks:
            raise self._words.corrupt("stands before any TRACK", "put it under its track")
        return self._tracks[-1]

    def _change(self, **fields: object) -> None:
        self._tracks[-1] = replace(self._current(), **fields)  # type: ignore[arg-type]  # checked by name at each call

    def _flag(self, word: str) -> None:
        self._change(flags=self._current().flags | {FLAGS[word]})

    def _no(self, _word: str) -> None:
        word = self._words.take("word", "a flag").upper()
        if word not in FLAGS:
            raise self._words.corrupt(f"NO {word[:32]!r}", "NO COPY or NO PRE_EMPHASIS")
        self._change(flags=self._current().flags - {FLAGS[word]})

    def _channels(self, _word: str) -> None:
        self._change(flags=self._current().flags - {"4CH"})

    def _isrc(self, _word: str) -> None:
        code = self._words.string("an ISRC")
        if code and not re.fullmatch(r"[A-Za-z0-9]{5}[0-9]{7}", code):
            self._odd.append(
                (self._words.line, f"ISRC {code[:32]!r} is not of the form CCOOOYYSSSSS")
            )
        self._change(isrc=code[:64] or None)

    # data

    def _clip(self, clip: Clip) -> None:
        most = self._limits.text_entries
        if self._clips >= most:
            raise LimitError(
                f"line {self._words.line}: more than {most} statements of data",
                file=self._name,
                remedy="no disc needs so many; raise the limit if you trust the table",
            )
        self._clips += 1
        self._change(clips=(*self._current().clips, clip))

    def _place(self) -> tuple[str, int]:
        """A file's name, and the byte where its data begin."""
        name = self._words.string("a file name")
        if not name:
            raise self._words.corrupt("a file without a name", "name it")
        return name, self._words.offset()

    def _length(self, unit: int) -> int:
        """A length in bytes: a bare number counts units of `unit` bytes, a time frames."""
        number = self._words.integer("a length")
        if self._words.next.text == ":":
            return self._words.time(number) * self._current().block
        return number * unit

    def _file(self, _word: str) -> None:
        unit = _SAMPLE if self._current().mode.audio else 1
        name, offset = self._place()
        start = self._length(unit)
        length = self._length(unit) if self._words.next.kind == "number" else 0
        self._clip(Clip(self._words.line, name, offset, start, length or None))

    def _datafile(self, word: str) -> None:
        self._current()
        name, offset = self._place()
        given = self._words.next.kind == "number" or word == "FIFO"
        length = self._length(1) if given else 0
        self._clip(Clip(self._words.line, name, offset, 0, length or None))

    def _zeros(self, word: str) -> None:
        self._current()
        mode = MODES.get(self._words.next.text.upper()) if self._words.next.kind == "word" else None
        if mode is not None:
            self._words.advance()
            if self._words.next.kind == "word" and self._words.next.text.upper() in LAYOUTS:
                self._words.advance()
        length = self._length(_SAMPLE if word == "SILENCE" else 1)
        self._clip(Clip(self._words.line, None, 0, 0, length, mode))

    # places

    def _cut(self) -> Cut:
        frames = self._words.only_time() if self._words.next.kind == "number" else None
        return Cut(frames, len(self._current().clips), self._words.line)

    def _start(self, _word: str) -> None:
        self._begin(self._cut())

    def _begin(self, cut: Cut) -> None:
        if self._current().start is not None:
            raise self._words.corrupt(
                "the track's start is already said", "one START or PREGAP a track"
            )
        self._change(start=cut)

    def _pregap(self, _word: str) -> None:
        if self._current().clips:
            raise self._words.corrupt("PREGAP behind the track's data", "put it before them")
        block = self._current().block
        self._clip(Clip(self._words.line, length=self._words.only_time() * block))
        self._begin(Cut(None, 1, self._words.line))

    def _end(self, _word: str) -> None:
        self._change(ends=(*self._current().ends, self._cut()))

    def _index(self, _word: str) -> None:
        indexes = self._current().indexes
        if len(indexes) == 98:
            raise self._words.corrupt("an index above 99", "a track has at most 99")
        self._change(indexes=(*indexes, self._words.only_time()))

    # CD-TEXT

    def _cd_text(self, _word: str) -> None:
        self._words.mark("{")
        texts = self._tracks[-1].texts if self._tracks else self._texts
        while not self._words.has("}"):
            if self._words.has("LANGUAGE_MAP"):
                self._language_map()
            elif self._words.has("LANGUAGE"):
                number = self._words.integer("a language number", 7)
                self._words.mark("{")
                while not self._words.has("}"):
                    self._item(texts.setdefault(number, {}))
            else:
                self._words.take("", "LANGUAGE_MAP, LANGUAGE or }")

    def _language_map(self) -> None:
        self._words.mark("{")
        while not self._words.has("}"):
            number = self._words.integer("a language number", 7)
            self._words.mark(":")
            if self._words.next.kind == "number":
                self._languages[number] = self._words.integer("a language code", 255)
                continue
            word = self._words.take("word", "a language code").upper()
            if word not in _LANGUAGES:
                raise self._words.corrupt(
                    f"language {word[:32]!r}", "a number from 0 to 255, or EN"
                )
            self._languages[number] = _LANGUAGES[word]

    def _item(self, items: dict[str, bytes]) -> None:
        word = self._words.take("word", "a CD-TEXT item").upper()
        if _CHARSETS.match(word):
            return
        if word not in ITEMS:
            self._words.line = self._words.taken.line
            raise self._words.corrupt(f"CD-TEXT item {word[:32]!r}", f"one of {', '.join(ITEMS)}")
        items[word] = (
            self._octets()
            if self._words.has("{")
            else unescaped(self._words.take("string", "a text"))
        )

    def _octets(self) -> bytes:
        """Numbers in braces, its opening one taken."""
        octets = bytearray()
        while not self._words.has("}"):
            octets.append(self._words.integer("a byte", 255))
            self._words.has(",")
        return bytes(octets)
