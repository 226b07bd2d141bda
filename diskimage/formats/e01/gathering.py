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
from diskimage.formats.e01.layout import Section, Table, Volume, lost
from diskimage.formats.e01.names import LETTERS, NUMBERED, segment_name
from diskimage.model import Gate, Source
from diskimage.parse import read

MOST = NUMBERED + 22 * LETTERS  # segments that names can count, at most


@dataclass(slots=True)
class Found:
    """What the sections of all segments said. `hashes` by name: md5, sha1.

    `gaps` are the numbers of tables before which others may be missing; `ended` where the last
    segment was read to its end.
    """

    sources: list[Source] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    hashes: dict[str, bytes] = field(default_factory=dict)
    faults: list[tuple[int, int]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    compression: int = 1
    gaps: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def volume(self) -> Volume:
        """The first that is whole. CorruptError."""
        if not self.volumes:
            raise CorruptError("has no volume section that is whole", file=self.sources[0].name)
        return self.volumes[0]

    def gap(self) -> None:
        """From here on tables may be missing."""
        self.gaps.append(len(self.tables))

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
            with gate.faults.surviving():
                raise MissingError(
                    f"goes on in segment {number}, and its name does not tell what that is called",
                    file=source.name, remedy="give the segments their names: x.E01, x.E02, x.E03",
                )  # fmt: skip
            return
        with gate.faults.surviving():
            part = gate.part(following)
            continue
        present = gate.siblings()
        later = (n for n in range(number, MOST) if segment_name(name, n) in present)
        number = next(later, 0)
        if not number:
            return
        part = gate.part(segment_name(name, number) or "")


def in_order(told: int, number: int, source: Source) -> None:
    """The header of each segment has its number. CorruptError."""
    if told != number:
        text = f"is segment {told} of a set, not {number}"
        remedy = "open the first segment" if number == 1 else "put the right file beside the first"
        raise CorruptError(text, file=source.name, at=9, remedy=remedy)


def gathered(source: Source, gate: Gate) -> Found:
    """All sections of all segments of version 1. Raises DiskImageError."""
    walk, base, expected = _Walk(gate), 0, 1
    for number, part in segments(source, gate):
        kind = ""
        if number != expected:
            walk.found.gap()
        with gate.faults.surviving():
            in_order(layout.segment(part), number, part)
            kind = walk.segment(part, base)
        if not kind:
            walk.broken()
        base, expected = base + part.size, number + 1
        walk.found.ended = kind == "done"
        if walk.found.ended:
            break
    return walk.found


def complete(found: Found, source: Source, gate: Gate) -> None:
    """Every chunk is in a table. CorruptError, unless it is survived and known which are missing.

    The tables of version 1 do not tell their chunks. So what is before the first gap counts from
    the first chunk, what is behind the last one up to the last, and what is between is lost.
    """
    need, tables = found.volume.chunks, found.tables
    if found.count < need and (found.gaps or not found.ended) and gate.faults.found:
        first, last = min([*found.gaps, len(tables)]), max([*found.gaps, 0])
        front, back = tables[:first], tables[last:] if found.ended else []
        known = sum(table.chunks for table in front)
        rest = need - known - sum(table.chunks for table in back)
        behind = known + rest
        found.tables = [*front, lost(known, rest)]
        for table in back:
            found.tables.append(table._replace(first=behind))
            behind += table.chunks
    if found.count < need:
        text = f"its tables have {found.count} of {need} chunks"
        raise CorruptError(text, file=source.name, remedy="a segment is missing, or it is damaged")
    if found.count > need:
        gate.warn("chunks", f"its tables have {found.count} chunks, its volume {need}")


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
                self._paired()
            self._section(source, section)
        if kind == "done":
            assert self.found.volume
        return kind

    def broken(self) -> None:
        """Go on behind a segment that is not sound: what was met of a table stays."""
        self._pair = [one for one in self._pair if one is not None]
        self._paired()
        self.found.gap()

    def _section(self, source: Source, section: Section) -> None:
        """What one section adds; those of other programs are passed by."""
        kind = section.type
        if kind in ("volume", "disk", "data"):
            self._volume(source, section)
        elif kind == "sectors":
            self._sectors = section
        elif kind in ("table", "table2"):
            if len(self._pair) == 2 or (kind == "table2" and not self._pair):
                self._paired()
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

    def _paired(self) -> None:
        """Take what was met of a table and its copy. ChecksumError where both heads are wrong."""
        pair, self._pair = self._pair, []
        if not pair:
            return
        whole = [one for one in pair if one is not None]
        if not whole:
            text = "the sums of the heads of a table of chunks and of its copy are wrong"
            raise ChecksumError(text, file=self.found.sources[-1].name)
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
