"""A disc as a sheet and its BIN files: all tracks in one, or one a track as Redump names them.

What is stored is stored, what is made up stays PREGAP and POSTGAP; so merging and splitting keep
every byte, and one undoes the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from diskimage.disc.address import LEAD_IN, LEAD_OUT, between_sessions, time
from diskimage.disc.framing import FRAMING
from diskimage.disc.losses import lacking
from diskimage.disc.modes import USER, followed
from diskimage.disc.recast import units
from diskimage.disc.tracks import between, frames as stored, kept
from diskimage.errors import UsageError
from diskimage.formats.cue.sheet import FLAGS, HIGH_DENSITY, TEXTS
from diskimage.layers.records import Placed
from diskimage.model import (
    Copy,
    Device,
    Disc,
    Loss,
    Mode,
    Option,
    Plan,
    Put,
    Size,
    Track,
)

OPTIONS = (
    Option("layout", "single, tracks", "one BIN for all tracks, or one for each"),
    FRAMING,
)
_LAYOUTS = ("single", "tracks")
_HOLDS = {
    "audio", "tracks", "sessions", "subchannel", "subheaders", "indexes", "index2", "postgap",
    "titles", "letters", "cdtext", "catalog", "number", "isrc", "flags", "scms",
}  # fmt: skip
_SUBS = {"interleaved": 96, "q16": 16}  # subchannel that may follow each frame, and its bytes
_OURS = ("REM SESSION ", "REM LEAD-OUT ", "REM LEAD-IN ", "REM PREGAP ")
_AREAS = ("REM SINGLE-DENSITY AREA", "REM HIGH-DENSITY AREA")


@dataclass(frozen=True, slots=True)
class Part:
    """The stored frames [start, stop) of a track, and where they go: frame `to` of `file`."""

    track: Track
    start: int
    stop: int
    file: str
    to: int

    @property
    def frames(self) -> int:
        """How many they are."""
        return self.stop - self.start


def losses(what: Disc, **_options: object) -> list[Loss]:
    """What a sheet cannot say: a gap between sessions shorter than a lead-out, and subchannel in no
    form that its modes have."""
    odd = [
        Loss("gaps", f"the gap before session {number} is shorter than a lead-out", content=False)
        for number, gap in _gaps(what).items()
        if gap is not None and gap < _lead_out(number)
    ]
    return [*odd, *lacking(what, _HOLDS - _silent(what))]


def _silent(disc: Disc) -> set[str]:
    """What a sheet holds in general, and not of this disc: subchannel in no form of its modes."""
    said = all(_declared(track).subchannel for track in disc.tracks if track.subchannel)
    return set() if said else {"subchannel"}


def _gaps(disc: Disc) -> dict[int, int | None]:
    """By session, the frames between the one before and it; None where they are the standard's."""
    tracks = {track.number: track for track in disc.tracks}
    gaps: dict[int, int | None] = {}
    for before, session in pairwise(disc.sessions):
        first = tracks[session.tracks[0]]
        start = first.lba - first.pregap
        usual = between_sessions(before.leadout, before.number, first.pregap)
        gaps[session.number] = None if start == usual else start - before.leadout
    return gaps


def _lead_out(session: int) -> int:
    """Frames of the lead-out before `session`."""
    return LEAD_OUT[session > 2]


def create(what: Disc, stem: str, *, layout: str = "single") -> Plan:
    """A sheet as the main file and its BINs beside it.

    Raises UsageError for options and names that a sheet cannot hold.
    """
    if layout not in _LAYOUTS:
        raise UsageError(f"layout={layout!r}", remedy=f"one of {', '.join(_LAYOUTS)}")
    if '"' in stem:
        raise UsageError(
            "a sheet cannot name a file with a quotation mark in it", remedy="choose another name"
        )
    parts = _parts(what.tracks, stem, layout)
    at: dict[str, int] = {}
    for part in parts:
        to = at.get(part.file, 0)
        device = _device(part)
        at[part.file] = to + device.size
        yield Size(at[part.file], file=part.file)
        yield Copy(device.runs(), to, file=part.file)
    packs = f"{stem}.cdt" if what.cdtext else None
    if what.cdtext and packs is not None:
        yield Size(len(what.cdtext), file=packs)
        yield Put(0, what.cdtext, file=packs)
    text = "".join(f"{line}\r\n" for line in _sheet(what, parts, packs)).encode()
    yield Size(len(text))
    yield Put(0, text)


def _device(part: Part) -> Device:
    """The stored frames of a part, with the subchannel behind each that a sheet can declare."""
    pieces = list(between(part.track.pieces, part.start, part.stop))
    extents = units(pieces) if _declared(part.track).subchannel else stored(pieces)
    return Placed(extents, USER)


def _declared(track: Track) -> Mode:
    """The mode that the line of a track says: of frames with subchannel where they have it."""
    pieces = [piece for piece in track.pieces if piece.source is not None]
    if not all(p.sub is not None and p.sub.layout in _SUBS for p in pieces):
        return track.mode
    return followed(track.mode, _SUBS.get(track.subchannel or "packed", 0))


def _parts(tracks: Sequence[Track], stem: str, layout: str) -> list[Part]:
    """The stored frames of each track. A name with no number is that of the only file."""
    width, done, parts = len(str(tracks[-1].number)), 0, []
    for track in tracks:
        one = layout == "single" or len(tracks) == 1
        file = f"{stem}.bin" if one else f"{stem} (Track {track.number:0{width}}).bin"
        start, stop = kept(track)
        to = done if layout == "single" else 0
        parts.append(Part(track, start, stop, file, to))
        done = to + stop - start
    return parts


def _sheet(disc: Disc, parts: Sequence[Part], packs: str | None) -> Iterator[str]:
    """The lines of the sheet."""
    remarks = disc.info.get("remarks", ())
    for remark in remarks if isinstance(remarks, list | tuple) else ():
        if not str(remark).upper().startswith((*_OURS, *_AREAS)):
            yield str(remark)
    if disc.catalog:
        yield f"CATALOG {disc.catalog}"
    if packs is not None:
        yield f"CDTEXTFILE {_quoted(packs)}"
    yield from _texts(disc.text, "")
    file, session, gaps = "", disc.tracks[0].session, _gaps(disc)
    for part in parts:
        track = part.track
        if track.session != session:
            session = track.session
            yield from _border(session, gaps.get(session))
        yield from _area(disc, part)
        if part.file != file:
            file = part.file
            yield f"FILE {_quoted(file)} BINARY"
        yield from _track(part)


def _border(session: int, gap: int | None) -> Iterator[str]:
    """Where a session begins: after lengths whose sum is `gap`, where that is not the standard's.

    They are the lines of dumping tools, for which all three are lengths.
    """
    if gap is None or gap < _lead_out(session):
        yield f"REM SESSION {session:02}"
        return
    rest = gap - _lead_out(session)
    yield f"REM LEAD-OUT {time(_lead_out(session))}"
    yield f"REM SESSION {session:02}"
    yield f"REM LEAD-IN {time(min(rest, LEAD_IN))}"
    yield f"REM PREGAP {time(max(0, rest - LEAD_IN))}"


def _area(disc: Disc, part: Part) -> Iterator[str]:
    """GD-ROM: which density the tracks from here on have."""
    if disc.medium != "GD":
        return
    before = [track for track in disc.tracks if track.number < part.track.number]
    high = part.track.lba >= HIGH_DENSITY
    if not before or (high and before[-1].lba < HIGH_DENSITY):
        yield _AREAS[high]


def _track(part: Part) -> Iterator[str]:
    track = part.track
    yield f"  TRACK {track.number:02} {_declared(track).name}"
    yield from _texts(track.text, "    ")
    if track.flags:
        yield f"    FLAGS {' '.join(flag for flag in FLAGS if flag in track.flags)}"
    if track.isrc:
        yield f"    ISRC {track.isrc}"
    before = track.lba - track.pregap
    absent = part.start - (max(0, before) if track.mode.audio else before)  # as they are read
    if absent:
        yield f"    PREGAP {time(absent)}"
    if part.start < track.lba:
        yield f"    INDEX 00 {time(part.to)}"
    for number, lba in track.indexes:
        if number:
            yield f"    INDEX {number:02} {time(part.to + lba - part.start)}"
    if track.postgap:
        yield f"    POSTGAP {time(track.postgap)}"


def _texts(text: Mapping[str, str], indent: str) -> Iterator[str]:
    for word in TEXTS:
        if word in text:
            yield f"{indent}{word} {_quoted(text[word])}"


def _quoted(text: str) -> str:
    """In quotation marks; the grammar has no way to write one inside, nor a line break."""
    return '"' + "".join(max(c, " ") for c in text).replace('"', "'") + '"'
