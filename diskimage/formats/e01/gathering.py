"""The segments of a set and what their sections hold, each number held against the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from diskimage.errors import (
    ChecksumError,
    ContentError,
    CorruptError,
    LimitError,
    MissingError,
)
from diskimage.formats.e01 import layout, texts
from diskimage.formats.e01.layout import Section, Table, Volume
from diskimage.formats.e01.names import segment_name
from diskimage.model import Gate, Source
from diskimage.parse import read


@dataclass(slots=True)
class Found:
    """What the sections of all segments said. `hashes` by name: md5, sha1."""

    sources: list[Source] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    hashes: dict[str, bytes] = field(default_factory=dict)
    faults: list[tuple[int, int]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    compression: int = 1

    @property
    def volume(self) -> Volume:
        """The first that is whole."""
        return self.volumes[0]

    def unreadable(self, rows: list[tuple[int, int]], source: Source) -> None:
        """Add (first sector, sectors) that could not be read. LimitError, over all sections."""
        self.faults += rows
        if len(self.faults) > layout.FAULTS:
            text = f"more than {layout.FAULTS} rows of unreadable sectors"
            raise LimitError(text, file=source.name)

    @property
    def count(self) -> int:
        """Chunks that the tables know."""
        return sum(table.chunks for table in self.tables)


def segments(source: Source, gate: Gate) -> Iterator[tuple[int, Source]]:
    """The numbers and files of a set; who asks for the next one says that there is one.

    Raises MissingError that names the segment, RefusedReferenceError.
    """
    name = source.name.replace("\\", "/").rpartition("/")[2]
    number, part = 1, source
    while True:
        yield number, part
        number += 1
        following = segment_name(name, number)
        if following is None:
            raise MissingError(
                f"goes on in segment {number}, and its name does not tell what that is called",
                file=source.name, remedy="give the segments their names: x.E01, x.E02 and so on",
            )  # fmt: skip
        part = gate.part(following)


def in_order(told: int, number: int, source: Source) -> None:
    """The header of each segment has its number. CorruptError."""
    if told != number:
        text = f"is segment {told} of a set, not {number}"
        remedy = "open the first segment" if number == 1 else "put the right file beside the first"
        raise CorruptError(text, file=source.name, at=9, remedy=remedy)


def gathered(source: Source, gate: Gate) -> Found:
    """All sections of all segments of version 1. Raises DiskImageError."""
    walk, base = _Walk(gate), 0
    for number, part in segments(source, gate):
        in_order(layout.segment(part), number, part)
        kind = walk.segment(part, base)
        base += part.size
        if kind == "done":
            break
    return walk.found


class _Walk:
    """The sections of one segment after the other."""

    def __init__(self, gate: Gate) -> None:
        self.found = Found()
        self._gate = gate
        self._base = 0
        self._sectors: Section | None = None
        self._texts = texts.Counted()
        self._pair: list[Table | None] = []  # a table and its copy, as far as they were met

    def segment(self, source: Source, base: int) -> str:
        """The kind of the last section of a segment, which begins at `base` of the set."""
        self.found.sources.append(source)
        self._base, self._sectors, self._texts = base, None, texts.Counted()
        kind = ""
        for section in layout.sections(source):
            kind = section.type
            if kind != "table2":
                self._paired(source)
            self._section(source, section)
        if kind == "done" and not self.found.volumes:
            raise CorruptError("has no volume section that is whole", file=self._first)
        return kind

    @property
    def _first(self) -> str:
        return self.found.sources[0].name

    def _section(self, source: Source, section: Section) -> None:
        """What one section adds; those of other programs are passed by."""
        kind = section.type
        if kind in ("volume", "disk", "data"):
            self._volume(source, section)
        elif kind == "sectors":
            self._sectors = section
        elif kind in ("table", "table2"):
            if len(self._pair) == 2 or (kind == "table2" and not self._pair):
                self._paired(source)
            self._pair.append(layout.table(source, section, self._sectors, self._base))
        elif kind in ("header", "header2"):
            self._text(source, section)
        elif kind == "error2":
            self.found.unreadable(layout.faults(source, section), source)
        elif kind in ("digest", "hash"):
            self._hashes(source, section)

    def _volume(self, source: Source, section: Section) -> None:
        told = layout.volume(source, section, self._gate.limits)
        if told is None:
            text = f"the sum of the section {section.type!r} is wrong"
            self._gate.warn("checksum", text, section.at)
            return
        known = self.found.volumes
        if known and any(known[0].guid) and any(told.guid) and known[0].guid != told.guid:
            text = "belongs to another set: its identifier is not that of the first segment"
            remedy = "put the right file beside the first"
            raise CorruptError(text, file=source.name, at=section.at, remedy=remedy)
        known.append(told)

    def _paired(self, source: Source) -> None:
        """Take what was met of a table and its copy. ChecksumError where both heads are wrong."""
        pair, self._pair = self._pair, []
        if not pair:
            return
        whole = [one for one in pair if one is not None]
        if not whole:
            text = "the sums of the heads of a table of chunks and of its copy are wrong"
            raise ChecksumError(text, file=source.name)
        if len(whole) < len(pair):
            self._gate.warn("checksum", "the sum of the head of a table of chunks is wrong")
        table = whole[0]._replace(first=self.found.count)
        if len(whole) > 1 and whole[1].chunks == table.chunks:
            table = table._replace(copy=whole[1])
        self.found.tables.append(table)

    def _text(self, source: Source, section: Section) -> None:
        """What is wrong with it is told: no byte of the guest depends on a text."""
        self._texts.one_more(source)
        try:
            raw = read(source, section.at, min(section.length, layout.TEXT), "a header")
            values = texts.told(texts.unpacked(raw))
        except ContentError as error:
            self._gate.warn(error.kind, error.message, section.at)
            return
        self.found.values |= {**values, **self.found.values}  # header2 comes first, with more

    def _hashes(self, source: Source, section: Section) -> None:
        length = 36 if section.type == "hash" else 80
        raw = layout.summed(source, section.at, length, "the stored hashes")
        if raw is None:
            text = f"the sum of the section {section.type!r} is wrong"
            self._gate.warn("checksum", text, section.at)
            return
        self.found.hashes["md5"] = bytes(raw[:16])
        if section.type == "digest" and any(raw[16:36]):
            self.found.hashes["sha1"] = bytes(raw[16:36])
