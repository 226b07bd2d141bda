"""From a table's bytes to a disc: its files opened through the gate, its clips laid end to end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from diskimage.disc import named
from diskimage.disc.address import LONGEST
from diskimage.disc.confirm import confirmed
from diskimage.disc.content import agrees, shown
from diskimage.disc.sound import by_suffix, sound, told
from diskimage.disc.tracks import Lay, assemble
from diskimage.disc.volume import weigh_disc
from diskimage.errors import CorruptError, TruncatedError, UnsupportedError
from diskimage.formats.toc.cdtext import described
from diskimage.formats.toc.sheet import KINDS, MODES, Clip, Cut, Entry, Sheet, parse
from diskimage.formats.toc.words import tokens
from diskimage.model import Bid, Disc, Gate, Look, Mode, Piece, Source, Subchannel
from diskimage.sources.joined import Joined, Stretch
from diskimage.sources.swap import Swap
from diskimage.sources.zeros import Zeros

_TRACK = re.compile(
    rb"^[ \t]*TRACK[ \t]+(%s)\b" % "|".join(MODES).encode(), re.MULTILINE | re.IGNORECASE
)


class Span(NamedTuple):
    """`length` bytes of a track: at `at` of a source, or zeros, of `mode` where one is said.

    `turned`: samples are little-endian there, as in a WAVE file; bare ones are not."""

    length: int
    source: Source | None = None
    at: int = 0
    turned: bool = False
    mode: Mode | None = None


def probe(look: Look) -> Bid | None:
    """By the first word, comments left out, and by TRACK lines that have a mode and no number."""
    first = next(tokens(look.head[:65536]))
    word = first.text.upper()
    if first.kind == "word" and word in KINDS:
        return Bid(95, f"begins with {word}")
    match = _TRACK.search(look.head)
    if match is not None and word in ("CATALOG", "CD_TEXT", "TRACK"):
        return Bid(95, f"TRACK {match[1].decode()} without a number")
    return None


def open_toc(source: Source, gate: Gate) -> Disc:
    """The disc that the table in `source` describes. Its files are parts beside it.

    Raises LimitError, CorruptError, TruncatedError, UnsupportedError, LoopError, and what the gate
    says of a file: MissingError, RefusedReferenceError, UnsafeNameError.
    """
    sheet = parse(named.text(source, gate), source.name, gate.limits)
    for line, what in sheet.odd:
        gate.warn("sheet", f"line {line}: {what}")
    files = Files(source, gate)
    text, texts, packs = described(sheet)
    lays: list[Lay] = []
    for entry in sheet.tracks:
        lba = lays[-1].stop if lays else 0
        lay = _laid(entry, files.spans(entry, lba), lba, source.name, gate)
        lays.append(replace(lay, text=texts.get(entry.number, {})))
    disc = assemble(
        lays,
        file=source.name,
        catalog=sheet.catalog,
        text=text,
        cdtext=packs,
        kinds={1: sheet.kind} if sheet.kind else None,
        info={"variant": _variant(sheet), "files": list(files.parts)},
    )
    weigh_disc(disc, gate)
    return disc


def _variant(sheet: Sheet) -> str:
    """The modes of the tracks, each once."""
    return ", ".join(dict.fromkeys(track.mode.name for track in sheet.tracks))


@dataclass(slots=True)
class Files:
    """The files of a table, each opened once: `parts` by name, `sounds` those that are not bare."""

    sheet: Source
    gate: Gate
    parts: dict[str, Source] = field(default_factory=dict)
    sounds: dict[str, Span | None] = field(default_factory=dict)

    def spans(self, entry: Entry, lba: int) -> list[Span]:
        """What the statements of a track from `lba` on take of their files."""
        spans, before = [], 0
        for clip in entry.clips:
            spans.append(self._span(clip, entry, lba + before // entry.block))
            before += spans[-1].length
        return spans

    def _span(self, clip: Clip, entry: Entry, lba: int) -> Span:
        """What a statement takes. Raises TruncatedError where its file has less."""
        if clip.name is None:
            length = clip.length or 0
            if length > LONGEST * entry.block:
                raise CorruptError(
                    self._said(clip, "zeros for longer than any disc"), file=self.sheet.name
                )
            return Span(length, mode=clip.mode)
        file = self._opened(clip, clip.name, entry)
        left = file.length - clip.offset - clip.start
        length = left if clip.length is None else clip.length
        if length > left or left <= 0:
            lba += max(0, left) // entry.block
            what = f"{clip.name!r} ends in the frame at LBA {lba}, which track {entry.number} needs"
            raise TruncatedError(
                self._said(clip, what),
                file=self.sheet.name,
                remedy="the file is cut short, or the table belongs to another one",
            )
        return file._replace(length=length, at=file.at + clip.offset + clip.start)

    def _opened(self, clip: Clip, name: str, entry: Entry) -> Span:
        """The whole of a file's data."""
        if name not in self.parts:
            self.parts[name] = named.part(name, clip.line, self.sheet, self.gate)
        part = self.parts[name]
        held = self._sound(name, part, clip) if entry.mode.audio else None
        if held is None:
            return Span(part.size, part)
        if clip.offset or entry.layout:
            what = f"{name!r} is a file of audio, whose samples have neither offset nor subchannel"
            raise UnsupportedError(self._said(clip, what), file=self.sheet.name)
        return held

    def _sound(self, name: str, part: Source, clip: Clip) -> Span | None:
        """The samples of a WAVE file or another; None where they are bare."""
        if name not in self.sounds:
            called = by_suffix(name)
            kind = told(part, (called,))
            if kind and kind != called:
                what = f"{name!r} is {kind} and is read as such"
                self.gate.warn("sheet", self._said(clip, what))
            self.sounds[name] = None
            if kind or called:
                with named.said(name, clip.line, self.sheet):
                    inside = sound(part, kind or called or "")
                self.sounds[name] = Span(inside.length, inside.source, inside.at, turned=True)
        return self.sounds[name]

    def _said(self, clip: Clip, what: str) -> str:
        return f"line {clip.line}: {what}"


def _laid(entry: Entry, spans: Sequence[Span], lba: int, file: str, gate: Gate) -> Lay:
    """A track from `lba` on. CorruptError for places outside of it, and for content of another
    mode than it has."""
    places = _places(entry, spans, file)
    indexes = [(0, lba)] if places[0] else []
    indexes += [(number, lba + place) for number, place in enumerate(places, 1)]
    if any(span.length % entry.block or _odd(span, entry) for span in spans):
        short = -sum(span.length for span in spans) % entry.block
        if short:
            gate.warn("padding", f"{short} zeros fill up the last frame of track {entry.number}")
        spans = [_joined([*spans, Span(short)], entry, file)]
    lay = Lay(
        entry.number, 1, entry.mode, tuple(_pieces(entry, spans, lba)), tuple(indexes),
        flags=entry.flags, isrc=entry.isrc,
    )  # fmt: skip
    lay = confirmed(lay, file, gate)
    _agree(lay, file)
    pieces = tuple(
        replace(piece, source=Swap(piece.source))
        if piece.mode.audio and piece.source is not None and not span.turned
        else piece
        for piece, span in zip(lay.pieces, spans, strict=True)
    )
    return replace(lay, pieces=pieces, postgap=_behind(pieces, indexes[-1][1]))


def _places(entry: Entry, spans: Sequence[Span], file: str) -> list[int]:
    """Where index 1 and those after it are, in frames from the track's first."""

    def place(cut: Cut) -> int:
        if cut.frames is not None:
            return cut.frames
        return -(-sum(span.length for span in spans[: cut.clips]) // entry.block)

    frames = -(-sum(span.length for span in spans) // entry.block)
    start = place(entry.start) if entry.start else 0
    later = sorted([*(start + index for index in entry.indexes), *map(place, entry.ends)])
    places = [start, *later]
    if not frames:
        what, remedy = "has no frames", "give it data"
    elif places[-1] >= frames or len(set(places)) < len(places) or min(places) < start:
        what, remedy = "has START, INDEX or END outside of it, or twice in a place", "mend them"
    else:
        return places
    raise CorruptError(f"line {entry.line}: track {entry.number} {what}", file=file, remedy=remedy)


def _odd(span: Span, entry: Entry) -> bool:
    """Whether bare samples begin in the middle of a word."""
    return entry.mode.audio and span.at % 2 == 1


def _joined(spans: Iterable[Span], entry: Entry, name: str) -> Span:
    """Spans that are not whole frames as one of them all."""
    spans = [span for span in spans if span.length]
    turned = entry.mode.audio and any(span.turned for span in spans)
    stretches = []
    for span in spans:
        source = Zeros(span.length) if span.source is None else span.source
        stretch = Stretch(source, span.at, span.length)
        if turned and not span.turned:
            stretch = Stretch(Swap(Joined(name, [stretch])), 0, span.length)
        stretches.append(stretch)
    source = Joined(name, stretches)
    return Span(source.size, source, turned=turned)


def _pieces(entry: Entry, spans: Iterable[Span], lba: int) -> Iterator[Piece]:
    """Spans of whole frames as pieces; bare samples in the order of their file."""
    mode, block = entry.mode, entry.block
    for span in spans:
        frames, source = span.length // block, span.source
        if source is None:
            said = span.mode if span.mode and span.mode.audio == mode.audio else mode
            yield Piece(lba, frames, None, 0, said)
        else:
            sub = None
            if entry.layout:
                sub = Subchannel(source, span.at + mode.size, block, entry.layout)
            yield Piece(lba, frames, source, span.at, mode, pitch=block, sub=sub)
        lba += frames


def _agree(lay: Lay, file: str) -> None:
    """Refuse frames of another size than the table says, where they show it."""
    first = dict(lay.indexes)[1]
    stored = [p for p in lay.pieces if p.source and p.stop > first and p.pitch == p.mode.size]
    if lay.mode.audio or not stored:
        return
    piece = max(stored, key=lambda p: p.frames)
    assert piece.source is not None
    skip = max(0, first - piece.lba)
    stop = piece.at + piece.frames * piece.pitch
    found = shown(piece.source, piece.at + skip * piece.pitch, stop, declared=lay.mode)
    if found is not None and not agrees(replace(lay.mode, edc=True), found):
        raise CorruptError(
            f"track {lay.number} is declared {lay.mode.name}, its content is {found.name}",
            file=file,
            remedy="mend the mode of the track",
        )


def _behind(pieces: Sequence[Piece], last: int) -> int:
    """Zeros behind the last index and whatever is stored: the track's postgap, in frames."""
    count = 0
    for piece in reversed(pieces):
        if piece.source is not None or piece.lba <= last:
            break
        count += piece.frames
    return count
