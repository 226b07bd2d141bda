"""From a sheet, its .img and .sub to a disc.

The .img holds the frames of session after session; the gap between two is not in it. Writers differ
in whether the pregap of a session's first track is: the size of the .img says so, and the headers
of data tracks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product

from diskimage.disc.address import PREGAP, times
from diskimage.disc.cdtext import texts
from diskimage.disc.confirm import confirmed
from diskimage.disc.content import VOLUME, samples
from diskimage.disc.modes import AUDIO, MODE1_2352, MODE2_2352, RAW, SYNC
from diskimage.disc.named import text
from diskimage.disc.subchannel import DATA, FLAGS, layout_of
from diskimage.disc.tracks import Lay, assemble
from diskimage.disc.volume import FIRST, weigh_disc
from diskimage.errors import CorruptError, MissingError, TruncatedError
from diskimage.formats.ccd.sheet import MARK, Point, Sheet, Told, parse
from diskimage.kernels.subchannel import SUB
from diskimage.model import Bid, Disc, Gate, Look, Mode, Piece, Source, Subchannel
from diskimage.model.discs import SessionKind
from diskimage.sources.scrambled import unscrambled

_MODES = {0: AUDIO, 1: MODE1_2352, 2: MODE2_2352}
_ADDRESS, _MODE = 12, 15  # of a frame's header
_KEY = bytes((0x01, 0x80, 0x00, 0x60))  # what the scrambler does to a header
_LINK = 0xE0  # of the mode byte: bits of linking blocks, which other frames have at zero


@dataclass(frozen=True, slots=True)
class Span:
    """A track: its frames are [start, stop), of which `start` is frame `at` of the .img."""

    point: Point
    told: Told
    start: int
    stop: int
    at: int

    @property
    def data(self) -> bool:
        return bool(self.point.row.control & DATA)


def probe(look: Look) -> Bid | None:
    """The section that sheets begin with; anywhere in the head under the suffix .ccd."""
    head = look.head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith(MARK.lower()):
        return Bid(95, "[CloneCD] at the beginning")
    named = look.suffix == ".ccd" and b"\n" + MARK.lower() in head
    return Bid(90, "a section [CloneCD], suffix .ccd") if named else None


def open_ccd(source: Source, gate: Gate) -> Disc:
    """The disc that the sheet in `source` and the files of its stem beside it hold.

    Raises LimitError, CorruptError, TruncatedError, and what the gate says of the .img.
    """
    sheet = parse(text(source, gate), source.name, gate.limits)
    for kind, what in sheet.odd:
        gate.warn(kind, what)
    stem = source.name.replace("\\", "/").rpartition("/")[2]
    stem = stem[:-4] if stem.lower().endswith(".ccd") else stem
    image = gate.part(f"{stem}.img")
    if image.size < RAW:
        raise TruncatedError("holds no frame", file=image.name, at=image.size)
    spans = _spans(sheet, image, gate)
    sub = _subchannel(stem, spans[-1].at + spans[-1].stop - spans[-1].start, gate)
    disc_text, track_texts = texts(sheet.packs)
    laid = [_lay(span, image, sub, sheet.scrambled, source.name, gate) for span in spans]
    lays = [confirmed(lay, source.name, gate, trust=False) for lay in laid]
    disc = assemble(
        [replace(lay, text=track_texts.get(lay.number, {})) for lay in lays],
        file=source.name,
        catalog=sheet.catalog,
        text=disc_text,
        cdtext=sheet.packs,
        toc=tuple(point.row for point in sheet.points),
        kinds=dict(_kinds(sheet)),
        info=_info(sheet, image, sub),
    )
    weigh_disc(disc, gate)
    return disc


def _info(sheet: Sheet, image: Source, sub: Subchannel | None) -> dict[str, object]:
    files = [image.name.rpartition("/")[2]]
    if sub is not None:
        files.append(sub.source.name.rpartition("/")[2])
    kept = f"{sub.layout} subchannel" if sub is not None else "no subchannel"
    return {"variant": f"version {sheet.version}, {kept}", "files": files}


def _kinds(sheet: Sheet) -> Iterator[tuple[int, SessionKind]]:
    """What each session is, by the disc type of its first point."""
    for session, group in groupby(sheet.placed(), key=lambda point: point.row.session):
        type = sheet.kind(session)
        audio = not any(point.row.control & DATA for point in group)
        named: dict[int, SessionKind] = {0x10: "CDI", 0x20: "CDROM_XA"}
        yield session, named.get(type, "CDDA" if audio else "CDROM")


def _spans(sheet: Sheet, image: Source, gate: Gate) -> list[Span]:
    """The tracks where the .img has them: of the arrangements that writers use, the first one that
    the content of data tracks does not deny and that has the size of the .img.

    Content is a header with the address of index 1, or a volume that begins there: headers alone
    may be another's, in a dump that was moved, and the size of one that was cut short says nothing.
    """
    sessions = [list(g) for _, g in groupby(sheet.placed(), key=lambda point: point.row.session)]
    have = image.size // RAW
    arranged = [list(_arranged(sheet, sessions, starts)) for starts in _starts(sheet, sessions)]
    judged = [(*_denied(spans, image), _needed(spans) != have, spans) for spans in arranged]
    denied, _, _, spans = min(judged, key=lambda one: (one[1], one[2], one[0]))
    needed = _needed(spans)
    if image.size > needed * RAW:
        more = image.size - needed * RAW
        gate.warn("size", f"{more} bytes of {image.name!r} are of no track", needed * RAW)
    if denied:
        what = "a data track has another address in its header than in the table of contents"
        gate.warn("address", what)
    return spans


def _needed(spans: Sequence[Span]) -> int:
    """Frames of the .img."""
    return spans[-1].at + spans[-1].stop - spans[-1].start


def _pregap(told: Told) -> int:
    """Frames before index 1: indexes tell their difference alone."""
    return told.indexes[1] - told.indexes[0] if {0, 1} <= told.indexes.keys() else 0


def _starts(sheet: Sheet, sessions: Sequence[Sequence[Point]]) -> Iterator[list[int]]:
    """For each session the LBA of the first frame that is stored, the usual case first."""
    firsts = [session[0] for session in sessions]
    gaps = [_pregap(sheet.tracks.get(first.row.point, Told())) for first in firsts]
    lba = firsts[0].lba
    begins = dict.fromkeys(at for at in (0, -PREGAP, lba - gaps[0], lba) if at <= lba)
    for begin, way in product(begins, range(3 if len(firsts) > 1 else 1)):
        later = [
            first.lba - (0, gap, PREGAP)[way]
            for first, gap in zip(firsts[1:], gaps[1:], strict=True)
        ]
        yield [begin, *later]


def _arranged(
    sheet: Sheet, sessions: Sequence[Sequence[Point]], starts: Sequence[int]
) -> Iterator[Span]:
    """The tracks, each from its index 0 to that of the next, or to the lead-out."""
    at = 0
    for session, begin in zip(sessions, starts, strict=True):
        told = [sheet.tracks.get(point.row.point, Told()) for point in session]
        first = [point.lba - _pregap(one) for point, one in zip(session, told, strict=True)]
        first[0] = begin
        stops = [*first[1:], sheet.leadout(session[0].row.session)]
        for point, one, start, stop in zip(session, told, first, stops, strict=True):
            yield Span(point, one, start, stop, at)
            at += stop - start


def _denied(spans: Sequence[Span], image: Source) -> tuple[int, int]:
    """How many data tracks do not have the header of their index 1 where `spans` put it, and how
    many of these no volume there either."""
    headers = volumes = 0
    for span in filter(lambda one: one.data, spans):
        at = (span.at + span.point.lba - span.start) * RAW
        head = bytearray(_ADDRESS + len(_KEY))
        whole = at >= 0 and image.read_into(at, memoryview(head)) == len(head)
        if whole and _is_scrambled(head):
            head[_ADDRESS:] = bytes(a ^ b for a, b in zip(head[_ADDRESS:], _KEY, strict=True))
        synced = whole and head[: len(SYNC)] == SYNC
        if not synced or head[_ADDRESS:_MODE] != times(span.point.lba, 1):
            headers += 1
            volumes += not _is_volume(image, at + FIRST * RAW)
    return headers, volumes


def _is_volume(image: Source, at: int) -> bool:
    """Whether the frame at `at` holds a volume descriptor."""
    frame = bytearray(RAW)
    if at < 0 or image.read_into(at, memoryview(frame)) != RAW:
        return False
    marks = (bytes(frame[user + 1 : user + 6]) for user in (16, 24))  # of mode 1, of mode 2
    return any(mark in VOLUME for mark in marks)


def _is_scrambled(frame: bytes | bytearray) -> bool:
    """By the mode byte, of which the scrambler turns two bits that are zero."""
    return (frame[_MODE] ^ _KEY[-1]) & _LINK == 0


def _subchannel(stem: str, frames: int, gate: Gate) -> Subchannel | None:
    """The .sub; without it the frames are still whole. Raises TruncatedError where it is short."""
    try:
        source = gate.part(f"{stem}.sub")
    except MissingError:
        gate.warn("missing", f"{stem}.sub is not there: no subchannel")
        return None
    if source.size < frames * SUB:
        raise TruncatedError(
            f"{frames} frames have {frames * SUB} bytes of subchannel, the file {source.size}",
            file=source.name,
            at=source.size,
            remedy="copy it again, or take it away to open the disc without subchannel",
        )
    return Subchannel(source, 0, SUB, layout_of(source, 0, SUB, frames))


def _lay(
    span: Span, image: Source, sub: Subchannel | None, said: bool, file: str, gate: Gate
) -> Lay:
    row, told = span.point.row, span.told
    frames = span.stop - span.start
    if span.stop <= span.point.lba:
        what = f"track {row.point} at LBA {span.point.lba} has no frames"
        raise CorruptError(what, file=file, remedy="mend the PLBA or INDEX that is wrong")
    piece = Piece(span.start, frames, image, span.at * RAW, _mode(span))
    if sub is not None:
        piece = replace(piece, sub=replace(sub, at=span.at * SUB))
    if span.data:
        piece = _plain(piece, said, row.point, gate)
    flags = frozenset(flag for flag, bit in FLAGS.items() if row.control & bit)
    return Lay(
        row.point, row.session, piece.mode, (piece,), _indexes(span), 0,
        flags | told.flags, told.isrc,
    )  # fmt: skip


def _mode(span: Span) -> Mode:
    """What the sheet says; the content has the last word."""
    if span.told.mode is None:
        return MODE1_2352 if span.data else AUDIO
    return _MODES[span.told.mode]


def _indexes(span: Span) -> tuple[tuple[int, int], ...]:
    """Index 0 where frames before index 1 are stored; the others by their distance from it."""
    told, lba = span.told.indexes, span.point.lba
    marks = [(0, span.start)] if span.start < lba else []
    marks.append((1, lba))
    base = told.get(1, 0)
    marks += [(n, lba + at - base) for n, at in sorted(told.items()) if n > 1]
    return tuple(mark for mark in marks if mark[1] < span.stop)


def _plain(piece: Piece, said: bool, number: int, gate: Gate) -> Piece:
    """A data track's frames out of the scrambler where they are in it: their mode byte tells."""
    assert piece.source is not None
    stop = min(piece.source.size, piece.at + piece.frames * RAW)
    heads = [f for f in samples(piece.source, piece.at, stop, RAW) if f[: len(SYNC)] == SYNC]
    scrambled = 2 * sum(map(_is_scrambled, heads)) > len(heads)
    if heads and scrambled != said:
        what = "is scrambled" if scrambled else "is not scrambled"
        gate.warn("mode", f"track {number} {what}, its sheet says otherwise", piece.lba)
    if not scrambled:
        return piece
    count = min(piece.frames, max(0, stop - piece.at) // RAW)
    return replace(piece, source=unscrambled(piece.source, piece.at, count), at=0)
